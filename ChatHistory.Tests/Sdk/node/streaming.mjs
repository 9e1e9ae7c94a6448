import assert from 'node:assert/strict';
import { client, history, model, saw, unique } from './harness.mjs';

const messages = [{ role: 'user', content: unique('Tell me a story') }];
const { data: stream, response } = await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }).withResponse();
let text = '';
let usage;
let finish;
const ids = new Set();
for await (const chunk of stream) {
  ids.add(chunk.id);
  text += chunk.choices[0]?.delta.content ?? '';
  finish ??= chunk.choices[0]?.finish_reason;
  usage = chunk.usage ?? usage;
}
assert.equal(ids.size, 1);
assert.equal(finish, 'stop');

// Read right after the end: it is there.
const session = response.headers.get('x-session-id');
const stored = await history(session);
assert.deepEqual(stored.map((message) => [message.role, message.content, message.status]), [
  ['user', messages[0].content, 'completed'],
  ['assistant', text, 'completed'],
]);
assert.equal(stored[1].tokens, usage.completion_tokens);
saw(ids, usage);

// Usage that was not asked for is not seen, although it is stored.
let chunks = 0;
let unasked = 0;
for await (const chunk of await client.chat.completions.create({ model, session_id: session, messages: [{ role: 'user', content: 'Go on' }], stream: true })) {
  chunks++;
  unasked += chunk.usage || chunk.choices.length === 0 ? 1 : 0;
}
assert.equal(unasked, 0);
assert.ok((await history(session))[3].tokens > 0);

// The helper that gathers, and emits events.
const seen = [];
const runner = client.chat.completions.stream({ model, session_id: session, messages: [{ role: 'user', content: 'And then?' }] }).on('content', (delta) => seen.push(delta));
const final = await runner.finalChatCompletion();
assert.equal(seen.join(''), final.choices[0].message.content);
assert.equal((await history(session))[5].content, final.choices[0].message.content);
assert.equal(await runner.finalContent(), seen.join(''));
saw(chunks, 'chunks,', seen.length, 'deltas');
