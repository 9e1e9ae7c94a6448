import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { client, fails, model, newClient, reached, saw, unique } from './harness.mjs';

/** A client with its usual two repetitions, and how often it has asked. */
function counting() {
  const attempts = [];
  const asked = newClient({
    maxRetries: 2,
    fetch: async (url, init) => {
      attempts.push(new Headers(init.headers).get('x-stainless-retry-count'));
      return fetch(url, init);
    },
  });
  return { attempts, ask: (more) => asked.chat.completions.create({ model, ...more }) };
}

// What may be better in a moment is asked again, and each time the model is.
for (const [fault, type, status] of [['error-429', OpenAI.RateLimitError, 429], ['error-500', OpenAI.InternalServerError, 500], ['error-503', OpenAI.InternalServerError, 503]]) {
  const { attempts, ask } = counting();
  const content = unique(fault);
  await fails(ask({ messages: [{ role: 'user', content }], simulator: { fault } }), type, status);
  assert.deepEqual(attempts, ['0', '1', '2']);
  assert.equal((await reached(content)).length, 3);
}

// What stays wrong is not.
for (const more of [{ messages: [] }, { model: 'no-such-model', messages: [{ role: 'user', content: 'x' }] }]) {
  const { attempts, ask } = counting();
  await assert.rejects(ask(more), OpenAI.APIError);
  assert.deepEqual(attempts, ['0']);
}

// A busy session: the client would ask again after 409, but the answer says that it should not.
const first = await client.chat.completions.create({ model, messages: [{ role: 'user', content: unique('First') }] });
const slow = new AbortController();
const running = await client.chat.completions.create(
  { model, session_id: first.session_id, stream: true, messages: [{ role: 'user', content: unique('Slow') }], simulator: { tokens: 10_000, token_ms: 20 } },
  { signal: slow.signal },
);
const { attempts, ask } = counting();
const busy = await fails(ask({ session_id: first.session_id, multitask: 'reject', messages: [{ role: 'user', content: 'Me too' }] }), OpenAI.ConflictError, 409);
assert.equal(busy.code, 'session_busy');
assert.deepEqual(attempts, ['0']);

// By default it waits for its turn.
const waiting = client.chat.completions.create({ model, session_id: first.session_id, messages: [{ role: 'user', content: 'After you' }] });
slow.abort();
for await (const chunk of running) {
  assert.ok(chunk);
}
assert.equal((await waiting).choices[0].finish_reason, 'stop');
saw('busy:', busy.message);
