namespace ChatHistory.Bench.Targets;

/// <summary>nginx as a plain reverse proxy that passes streams on at once and keeps its connections to the upstream.</summary>
internal static class NginxProxy
{
    /// <returns>Null where there is no nginx.</returns>
    public static async Task<Target?> StartAsync(string folder, int upstreamPort)
    {
        if (Programs.Find("nginx") is not { } nginx)
        {
            return null;
        }

        var port = ChildProcess.FreePort();
        var configuration = Path.Combine(folder, "nginx.conf");
        await File.WriteAllTextAsync(configuration, $$"""
            daemon off;
            worker_processes auto;
            pid {{folder}}/nginx.pid;
            error_log {{folder}}/nginx-error.log;
            events { worker_connections 4096; }
            http {
              access_log off;
              client_body_temp_path {{folder}}/nginx-body;
              proxy_temp_path {{folder}}/nginx-proxy;
              fastcgi_temp_path {{folder}}/nginx-fastcgi;
              uwsgi_temp_path {{folder}}/nginx-uwsgi;
              scgi_temp_path {{folder}}/nginx-scgi;
              keepalive_requests 1000000000;
              upstream model { server 127.0.0.1:{{upstreamPort}}; keepalive 512; keepalive_requests 1000000000; }
              server {
                listen 127.0.0.1:{{port}} backlog=1024;
                location / {
                  proxy_pass http://model;
                  proxy_http_version 1.1;
                  proxy_set_header Connection "";
                  proxy_buffering off;
                }
              }
            }
            """);
        var process = ChildProcess.Start(Path.Combine(folder, "nginx.log"), nginx, ["-p", folder, "-c", configuration]);
        await process.WaitReadyAsync(port);
        return new Target(Target.Nginx, port, new Dictionary<string, string>(), [process]);
    }
}
