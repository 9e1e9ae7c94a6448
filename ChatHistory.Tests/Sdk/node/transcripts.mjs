// A client that knows nothing of sessions sends its whole transcript each time. It is one session all the same.
import assert from 'node:assert/strict';
import { client, history, model, saw, unique } from './harness.mjs';

const messages = [{ role: 'system', content: unique('Be brief') }];
const sessions = new Set();
for (const question of ['One', 'Two', 'Three']) {
  messages.push({ role: 'user', content: question });
  const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
  sessions.add(response.headers.get('x-session-id'));
  // As applications do it: the message as it came, with its null members.
  messages.push(data.choices[0].message);
}
assert.equal(sessions.size, 1);
const [session] = sessions;
assert.deepEqual((await history(session)).map((message) => message.content), messages.map((message) => message.content));

// An edited question is a branch of the same session.
const edited = [...messages.slice(0, 3), { role: 'user', content: 'Two, but better' }];
const { response } = await client.chat.completions.create({ model, messages: edited }).withResponse();
assert.equal(response.headers.get('x-session-id'), session);
assert.equal((await history(session)).length, messages.length + 2);
saw(session, messages.length, 'messages, and a branch');
