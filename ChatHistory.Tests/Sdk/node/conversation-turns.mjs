import assert from 'node:assert/strict';
import { client, model, reached, saw, unique } from './harness.mjs';

const { conversations } = client;
const conversation = await conversations.create({
  items: [
    { type: 'message', role: 'user', content: 'Hello!' },
    { type: 'function_call', call_id: 'call_1', name: 'look_up', arguments: '{}' },
    { type: 'function_call_output', call_id: 'call_1', output: 'found' },
  ],
});

// The model is told what the conversation holds; what is said goes into it.
const question = unique('What was found?');
const response = await client.responses.create({ model, conversation: conversation.id, input: question });
assert.equal(response.conversation.id, conversation.id);
const [request] = await reached(question);
assert.deepEqual(request.body.messages.map((message) => message.role), ['user', 'assistant', 'tool', 'user']);
const latest = await conversations.items.list(conversation.id, { limit: 2 });
assert.deepEqual(latest.data.map((entry) => [entry.role, entry.content[0].text]), [['assistant', response.output_text], ['user', question]]);
saw(conversation.id, latest.data.map((entry) => entry.id));
