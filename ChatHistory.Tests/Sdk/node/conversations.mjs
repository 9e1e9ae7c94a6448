import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { client, fails, saw } from './harness.mjs';

const { conversations } = client;
const conversation = await conversations.create({ metadata: { topic: 'demo' }, items: [{ type: 'message', role: 'user', content: 'Hello!' }] });
assert.equal(conversation.object, 'conversation');
assert.match(conversation.id, /^conv_/);
assert.ok(Number.isInteger(conversation.created_at));
assert.deepEqual(conversation.metadata, { topic: 'demo' });
assert.deepEqual({ ...(await conversations.retrieve(conversation.id)) }, { ...conversation });
assert.deepEqual((await conversations.update(conversation.id, { metadata: { topic: 'changed' } })).metadata, { topic: 'changed' });

const added = await conversations.items.create(conversation.id, {
  items: [
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hi.', annotations: [] }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Look' }, { type: 'input_image', image_url: 'data:image/png;base64,AQID', detail: 'auto' }] },
    { type: 'function_call', call_id: 'call_1', name: 'look_up', arguments: '{}' },
    { type: 'function_call_output', call_id: 'call_1', output: 'found' },
  ],
});
assert.equal(added.object, 'list');
assert.deepEqual(added.data.map((item) => item.type), ['message', 'message', 'function_call', 'function_call_output']);
assert.equal(added.first_id, added.data[0].id);
assert.equal(added.last_id, added.data[3].id);

// Newest first by default; the client follows the pages by last_id.
const ids = [];
for await (const item of conversations.items.list(conversation.id, { limit: 2 })) {
  ids.push(item.id);
}
assert.deepEqual(ids.slice(0, 4), added.data.map((item) => item.id).reverse());
assert.equal(ids.length, 5);
const oldest = await conversations.items.list(conversation.id, { order: 'asc', limit: 1 });
assert.deepEqual(oldest.data[0].content.map((part) => [part.type, part.text]), [['input_text', 'Hello!']]);
assert.equal(oldest.data[0].role, 'user');
assert.equal(oldest.has_more, true);

const item = await conversations.items.retrieve(added.data[1].id, { conversation_id: conversation.id });
assert.deepEqual(item.content.map((part) => part.type), ['input_text', 'input_image']);
assert.equal((await conversations.items.delete(added.data[1].id, { conversation_id: conversation.id })).object, 'conversation');
await fails(conversations.items.retrieve(added.data[1].id, { conversation_id: conversation.id }), OpenAI.NotFoundError, 404);

assert.deepEqual({ ...(await conversations.delete(conversation.id)) }, { id: conversation.id, object: 'conversation.deleted', deleted: true });
await fails(conversations.retrieve(conversation.id), OpenAI.NotFoundError, 404);
await fails(conversations.create({ items: Array.from({ length: 21 }, () => ({ type: 'message', role: 'user', content: 'x' })) }), OpenAI.BadRequestError, 400);
saw(conversation.id, ids.length, 'items');
