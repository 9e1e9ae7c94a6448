// Writes the bill of materials of a service (CycloneDX 1.6) from its packages.lock.json, which has every package with version and SHA-512.
//   node .ci/sbom.mjs ChatHistory.Gateway 1.4.0 > chathistory-gateway-1.4.0.cdx.json
// A release does so for ChatHistory.Gateway and ChatHistory.StorageService, and attaches both files (docs/decisions/0024).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [project, version] = process.argv.slice(2);
if (!project || !version) {
  console.error('usage: node .ci/sbom.mjs PROJECT VERSION');
  process.exit(2);
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const text = readFileSync(join(root, project, 'packages.lock.json'), 'utf8');
const purl = (name, resolved) => `pkg:nuget/${name}@${resolved}`;

// {"dependencies":{"net10.0":{"Serilog":{"type":"Direct","resolved":"4.3.0","contentHash":"base64","dependencies":{"X":"1.0.0"}}}}}
const packages = new Map();
const projects = new Map();
for (const [name, entry] of Object.values(JSON.parse(text).dependencies).flatMap(Object.entries)) {
  (entry.type === 'Project' ? projects : packages).set(name.toLowerCase(), { name, ...entry });
}

const refOf = (name) => {
  const found = packages.get(name.toLowerCase());
  return found && purl(found.name, found.resolved);
};
// A project of ours stands for what it refers to.
const refsOf = (dependencies = {}) => Object.keys(dependencies).flatMap((name) =>
  projects.has(name.toLowerCase()) ? refsOf(projects.get(name.toLowerCase()).dependencies) : refOf(name) ?? []);
const unique = (list) => [...new Set(list)].sort();

const self = `${project}@${version}`;
const hash = createHash('sha256').update(`${self}\n${text}`).digest('hex');
const sorted = [...packages.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
const bom = {
  $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  // Made of what it describes: the same release has the same file.
  serialNumber: `urn:uuid:${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`,
  version: 1,
  metadata: { component: { type: 'application', 'bom-ref': self, name: project, version } },
  components: sorted.map((entry) => ({
    type: 'library',
    'bom-ref': purl(entry.name, entry.resolved),
    name: entry.name,
    version: entry.resolved,
    purl: purl(entry.name, entry.resolved),
    hashes: [{ alg: 'SHA-512', content: Buffer.from(entry.contentHash, 'base64').toString('hex') }],
  })),
  dependencies: [
    { ref: self, dependsOn: unique([...sorted.filter((entry) => entry.type === 'Direct').map((entry) => purl(entry.name, entry.resolved)), ...[...projects.values()].flatMap((entry) => refsOf(entry.dependencies))]) },
    ...sorted.map((entry) => ({ ref: purl(entry.name, entry.resolved), dependsOn: unique(refsOf(entry.dependencies)) })),
  ],
};
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`);
