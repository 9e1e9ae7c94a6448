import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { adminKey, client, eventually, fails, get, history, model, newClient, reached, saw, unique } from './harness.mjs';

const ask = (more, options) => client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hello' }], ...more }, options);
const drained = async (more) => {
  for await (const chunk of await ask({ stream: true, ...more })) {
    assert.ok(chunk);
  }
};

// Every error has the four members that OpenAI's has, and the id by which the log knows it.
const bad = await fails(ask({ messages: [] }), OpenAI.BadRequestError, 400);
assert.deepEqual(Object.keys(bad.error).sort(), ['code', 'message', 'param', 'type']);
assert.equal(bad.type, 'invalid_request_error');
assert.equal(bad.param, 'messages');
assert.ok(bad.requestID);
assert.equal((await fails(ask({ messages: [{ role: 'nobody', content: 'x' }] }), OpenAI.BadRequestError, 400)).param, 'messages[0].role');
assert.equal((await fails(ask({ n: 0 }), OpenAI.BadRequestError, 400)).param, 'n');
assert.match((await fails(ask({ temperature: -1 }), OpenAI.BadRequestError, 400)).message, /temperature/);

assert.equal((await fails(newClient({ apiKey: 'wrong' }).models.list(), OpenAI.AuthenticationError, 401)).code, 'invalid_api_key');
await fails(newClient({ apiKey: adminKey }).models.list(), OpenAI.PermissionDeniedError, 403);
assert.equal((await fails(ask({ model: 'no-such-model' }), OpenAI.NotFoundError, 404)).code, 'model_not_found');
assert.equal((await fails(ask({ session_id: 'no-such-session' }), OpenAI.NotFoundError, 404)).code, 'session_not_found');
await fails(client.models.retrieve('no-such-model'), OpenAI.NotFoundError, 404);
await fails(client.get('/no/such/route'), OpenAI.NotFoundError, 404);

await fails(ask({ simulator: { fault: 'error-422' } }), OpenAI.UnprocessableEntityError, 422);
assert.equal((await fails(ask({ simulator: { fault: 'error-429' } }), OpenAI.RateLimitError, 429)).code, 'rate_limit_exceeded');
await fails(ask({ simulator: { fault: 'error-500' } }), OpenAI.InternalServerError, 500);
await fails(ask({ simulator: { fault: 'error-503' } }), OpenAI.InternalServerError, 503);
await fails(ask({ simulator: { fault: 'html' } }), OpenAI.InternalServerError, 502);
const long = await fails(ask({ messages: [{ role: 'user', content: 'word '.repeat(40_000) }] }), OpenAI.BadRequestError, 400);
assert.equal(long.code, 'context_length_exceeded');

// In the middle of a stream.
for (const fault of ['error-chunk', 'close', 'reset']) {
  const error = await drained({ simulator: { fault } }).then(() => assert.fail(`${fault}: no error`), (reason) => reason);
  assert.ok(error instanceof OpenAI.APIError, `${fault}: ${error.stack}`);
  saw(fault, error.constructor.name, error.code, error.message);
}

// The client's own time limit: the turn is kept, as one that was left.
const question = unique('Slow');
await fails(ask({ messages: [{ role: 'user', content: question }], simulator: { ttft_ms: 60_000 } }, { timeout: 500 }), OpenAI.APIConnectionTimeoutError, undefined);
await eventually(async () => (await reached(question)).map((request) => request.outcome).join(), (outcome) => outcome === 'aborted');
const { sessions } = await get('/sessions?limit=1');
const left = await eventually(async () => (await history(sessions[0].session_id)).at(-1), (answer) => answer.status !== 'in_progress');
assert.equal(left.status, 'cancelled');
