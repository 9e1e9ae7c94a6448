// What every script needs: the client as its users make it, and the two places where the truth stands: the stored history, and what reached the model.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import OpenAI from 'openai';

const env = (name) => process.env[name] ?? assert.fail(`${name} is not set; the scripts are run by EndToEnd/OpenAINodeTests.cs`);

export const baseURL = env('BASE_URL');
export const apiKey = env('API_KEY');
export const adminKey = env('ADMIN_KEY');
export const model = env('MODEL');

/** A client that does not repeat by itself, so that every failure is seen; a script about repetitions says otherwise. */
export const newClient = (options = {}) => new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000, ...options });

export const client = newClient();

/** A text that no other request has. */
export const unique = (text) => `${text} ${randomUUID()}`;

/** A GET of the gateway's own API. */
export async function get(path) {
  const response = await fetch(`${baseURL}${path}`, { headers: { authorization: `Bearer ${apiKey}` } });
  assert.equal(response.status, 200, `GET ${path}`);
  return response.json();
}

/** A session's stored messages, oldest first. */
export const history = async (sessionId) => (await get(`/sessions/${sessionId}/messages?limit=1000`)).messages;

/** The requests with this text that reached the model; questions for a count of tokens are none. */
export async function reached(text) {
  const response = await fetch(`${env('SIMULATOR_URL')}/simulator/requests`);
  return (await response.json()).data.filter((request) => request.path !== '/tokenize' && JSON.stringify(request.body).includes(text));
}

/** How many tokens a text has for the model. */
export async function tokensOf(text) {
  const body = JSON.stringify({ prompt: text, add_special_tokens: false });
  const response = await fetch(`${env('SIMULATOR_URL')}/tokenize`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return (await response.json()).count;
}

/** Asks until the answer is as expected, at most for 30 s. */
export async function eventually(ask, isExpected) {
  const end = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (isExpected(answer)) {
      return answer;
    }
    assert.ok(Date.now() < end, `after 30 s it was still: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Expects an error of a class of the client, and returns it. */
export async function fails(promise, type, status) {
  const error = await Promise.resolve(promise).then((value) => assert.fail(`no error, but ${JSON.stringify(value)}`), (reason) => reason);
  assert.equal(error.constructor.name, type.name, `${error.stack}`);
  assert.equal(error.status, status);
  saw(type.name, error.status, error.code, error.message);
  return error;
}

export const saw = (...what) => console.log(...what);
