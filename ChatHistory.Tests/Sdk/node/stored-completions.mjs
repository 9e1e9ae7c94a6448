import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { client, fails, model, saw, unique } from './harness.mjs';

const { completions } = client.chat;
const topic = unique('topic');
const created = [];
for (let i = 0; i < 5; i++) {
  created.push(
    await completions.create({
      model, store: true, metadata: { topic, number: `${i}` }, temperature: 0.5, seed: i,
      messages: [{ role: 'system', content: 'Be brief' }, { role: 'user', content: [{ type: 'text', text: unique(`Question ${i}`) }, { type: 'image_url', image_url: { url: 'data:image/png;base64,AQID' } }] }],
    }),
  );
}

const one = await completions.retrieve(created[2].id);
assert.equal(one.object, 'chat.completion');
assert.equal(one.id, created[2].id);
assert.deepEqual(one.choices[0].message.content, created[2].choices[0].message.content);
assert.deepEqual(one.usage.completion_tokens, created[2].usage.completion_tokens);
assert.deepEqual(one.metadata, { topic, number: '2' });

// Pages of two, oldest first, followed by the client itself.
const listed = [];
for await (const completion of completions.list({ limit: 2, metadata: { topic } })) {
  listed.push(completion.id);
}
assert.deepEqual(listed, created.map((completion) => completion.id));
const newest = await completions.list({ limit: 1, order: 'desc', model, metadata: { topic, number: '4' } });
assert.deepEqual(newest.data.map((completion) => completion.id), [created[4].id]);
assert.deepEqual((await completions.list({ model: 'no-such-model' })).data, []);

const messages = [];
for await (const message of completions.messages.list(created[0].id, { limit: 1 })) {
  messages.push(message);
}
assert.deepEqual(messages.map((message) => message.role), ['system', 'user']);
assert.deepEqual(messages.map((message) => message.id), [`${created[0].id}-0`, `${created[0].id}-1`]);
assert.equal(messages[1].content, null);
assert.deepEqual(messages[1].content_parts.map((part) => part.type), ['text', 'image_url']);

const updated = await completions.update(created[1].id, { metadata: { topic, changed: 'yes' } });
assert.deepEqual(updated.metadata, { topic, changed: 'yes' });
assert.deepEqual((await completions.retrieve(created[1].id)).metadata, { topic, changed: 'yes' });

assert.deepEqual({ ...(await completions.delete(created[3].id)) }, { object: 'chat.completion.deleted', id: created[3].id, deleted: true });
await fails(completions.retrieve(created[3].id), OpenAI.NotFoundError, 404);
await fails(completions.delete(created[3].id), OpenAI.NotFoundError, 404);
await fails(completions.messages.list('no-such-completion'), OpenAI.NotFoundError, 404);
assert.equal((await completions.list({ metadata: { topic } })).data.length, 4);
saw(listed);
