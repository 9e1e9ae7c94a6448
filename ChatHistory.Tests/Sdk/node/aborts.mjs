import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { client, eventually, history, model, reached, saw, tokensOf, unique } from './harness.mjs';

const slow = { tokens: 10_000, token_ms: 10 };
const ended = (session) => eventually(async () => (await history(session)).at(-1), (answer) => answer.status !== 'in_progress');

/** Reads until there is some text, then leaves; the client's loop ends without an error. */
async function leave(more, how) {
  const content = unique('A long story');
  const controller = new AbortController();
  const { data: stream, response } = await client.chat.completions
    .create({ model, messages: [{ role: 'user', content }], stream: true, simulator: slow, ...more }, { signal: controller.signal })
    .withResponse();
  let text = '';
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    if (text.length > 50 && how(stream, controller) === 'break') {
      break;
    }
  }
  return { content, text, session: response.headers.get('x-session-id') };
}

for (const [name, how] of [['signal', (_, controller) => controller.abort()], ['stream.controller', (stream) => stream.controller.abort()], ['break', () => 'break']]) {
  const { content, text, session } = await leave({}, how);
  await eventually(async () => (await reached(content)).map((request) => request.outcome).join(), (outcome) => outcome === 'aborted');
  const answer = await ended(session);
  assert.equal(answer.status, 'cancelled');
  assert.ok(answer.content.startsWith(text), `${name}: ${answer.content} does not begin with ${text}`);

  // The usage is exact, although the model's server never told it.
  assert.equal(answer.tokens, await tokensOf(answer.content));
  assert.ok(answer.prompt_tokens > 0);

  // The session goes on, and the model is told what it had said.
  const next = unique('Go on');
  await client.chat.completions.create({ model, session_id: session, messages: [{ role: 'user', content: next }] });
  assert.equal((await history(session)).length, 4);
  saw(name, answer.status, answer.content.length, 'characters kept');
}

// Whoever asks for it gets the rest later.
const kept = await leave({ on_disconnect: 'continue', simulator: { tokens: 120, token_ms: 10 } }, (_, controller) => controller.abort());
const answer = await ended(kept.session);
assert.equal(answer.status, 'completed');
assert.equal(answer.tokens, 120);

// Before the answer's first byte.
const controller = new AbortController();
const content = unique('Never mind');
const pending = client.chat.completions.create({ model, messages: [{ role: 'user', content }], simulator: { ttft_ms: 60_000 } }, { signal: controller.signal });
const failed = assert.rejects(pending, OpenAI.APIUserAbortError);
await eventually(() => reached(content), (requests) => requests.length === 1);
controller.abort();
await failed;
await eventually(async () => (await reached(content))[0].outcome, (outcome) => outcome === 'aborted');
saw('continue:', answer.status, answer.tokens, 'tokens');
