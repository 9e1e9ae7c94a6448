import assert from 'node:assert/strict';
import { client, history, model, reached, saw, unique } from './harness.mjs';

const question = unique('Why is the sky blue?');
const { data: completion, response } = await client.chat.completions
  .create({ model, messages: [{ role: 'system', content: 'Be brief' }, { role: 'user', content: question }], max_completion_tokens: 200, seed: 7 })
  .withResponse();

assert.equal(completion.object, 'chat.completion');
assert.equal(completion.choices[0].finish_reason, 'stop');
assert.ok(completion.choices[0].message.content.includes(question));
assert.ok(completion.usage.total_tokens > 0);
assert.ok(completion._request_id);
const session = response.headers.get('x-session-id');
assert.equal(completion.session_id, session);
saw(completion.id, completion._request_id, session);

// The next turn sends the new message only, in the same session.
const next = unique('And at sunset?');
const answer = await client.chat.completions.create({ model, session_id: session, messages: [{ role: 'user', content: next }] });
const [request] = await reached(next);
assert.deepEqual(request.body.messages.map((message) => message.role), ['system', 'user', 'assistant', 'user']);
assert.equal(request.body.session_id, undefined);

const stored = await history(session);
assert.deepEqual(stored.map((message) => [message.role, message.content]), [
  ['system', 'Be brief'],
  ['user', question],
  ['assistant', completion.choices[0].message.content],
  ['user', next],
  ['assistant', answer.choices[0].message.content],
]);
assert.equal(stored[2].completion_id, completion.id);
assert.equal(stored[2].tokens, completion.usage.completion_tokens);
assert.equal(stored[2].prompt_tokens, completion.usage.prompt_tokens);

// Several choices.
const choices = await client.chat.completions.create({ model, n: 3, messages: [{ role: 'user', content: unique('Choose') }] });
assert.deepEqual(choices.choices.map((choice) => choice.index), [0, 1, 2]);
saw(stored.length, 'messages,', choices.choices.length, 'choices');
