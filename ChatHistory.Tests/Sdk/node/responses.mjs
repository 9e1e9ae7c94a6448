import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { client, eventually, fails, model, reached, saw, unique } from './harness.mjs';

const { responses } = client;

// Whole.
const question = unique('Why is the sky blue?');
const first = await responses.create({ model, instructions: 'Be brief', input: question, metadata: { topic: 'sky' }, max_output_tokens: 300 });
assert.equal(first.object, 'response');
assert.match(first.id, /^resp_/);
assert.equal(first.status, 'completed');
assert.ok(first.output_text.includes(question));
assert.deepEqual(first.output.map((item) => [item.type, item.role, item.status]), [['message', 'assistant', 'completed']]);
assert.equal(first.usage.total_tokens, first.usage.input_tokens + first.usage.output_tokens);
assert.deepEqual(first.metadata, { topic: 'sky' });
assert.equal(first.error, null);
const again = await responses.retrieve(first.id);
assert.equal(again.output_text, first.output_text);
assert.deepEqual(again.usage, first.usage);

// The chain: its messages reach the model, its instructions do not.
const next = unique('And at sunset?');
const second = await responses.create({ model, previous_response_id: first.id, input: [{ role: 'user', content: [{ type: 'input_text', text: next }] }] });
assert.equal(second.previous_response_id, first.id);
const [request] = await reached(next);
assert.deepEqual(request.body.messages.map((message) => message.role), ['user', 'assistant', 'user']);
// Two answers to one response are two branches.
const other = await responses.create({ model, previous_response_id: first.id, input: unique('And at night?') });
assert.notEqual(other.id, second.id);

const items = [];
for await (const item of responses.inputItems.list(second.id, { order: 'asc', limit: 1 })) {
  items.push(item);
}
assert.equal(items.at(-1).content[0].text, next);
assert.ok(items.every((item) => item.id));

// Streamed: the events of the API in their order, numbered without a gap.
const types = [];
let text = '';
let streamed;
for await (const event of await responses.create({ model, previous_response_id: second.id, input: 'Go on', stream: true })) {
  assert.equal(event.sequence_number, types.length);
  types.push(event.type);
  text += event.type === 'response.output_text.delta' ? event.delta : '';
  streamed = event.type === 'response.completed' ? event.response : streamed;
}
assert.deepEqual(types.filter((type) => type !== 'response.output_text.delta'), [
  'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added',
  'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.completed',
]);
assert.equal(streamed.output[0].content[0].text, text);
assert.equal((await responses.retrieve(streamed.id)).output_text, text);

// The helper that gathers.
const helper = responses.stream({ model, input: unique('Gather') });
assert.equal((await helper.finalResponse()).output_text, (await responses.retrieve((await helper.finalResponse()).id)).output_text);

// Tools.
const tools = [{ type: 'function', name: 'get_weather', description: 'The weather.', strict: false, parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } }];
const asked = await responses.create({ model, tools, input: unique('Please use get_weather') });
const call = asked.output.find((item) => item.type === 'function_call');
assert.equal(call.name, 'get_weather');
const told = await responses.create({ model, tools, previous_response_id: asked.id, input: [{ type: 'function_call_output', call_id: call.call_id, output: 'Sunny' }] });
assert.ok(told.output_text.includes('Sunny'));

// Structured output.
const format = { type: 'json_schema', name: 'person', strict: true, schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false } };
assert.equal(typeof (await responses.parse({ model, input: unique('Who?'), text: { format } })).output_parsed.name, 'string');

// In the background; it is read when it is done, stopped when nobody wants it, and read on from any event.
const background = await responses.create({ model, input: unique('Slow'), background: true });
assert.ok(['queued', 'in_progress', 'completed'].includes(background.status));
await eventually(async () => (await responses.retrieve(background.id)).status, (status) => status === 'completed');

const endless = await responses.create({ model, input: unique('Endless'), background: true, simulator: { tokens: 10_000, token_ms: 20 } });
assert.equal((await responses.cancel(endless.id)).status, 'cancelled');
assert.equal((await responses.retrieve(endless.id)).status, 'cancelled');

const resumable = await responses.create({ model, input: unique('Resume'), background: true, stream: true, simulator: { tokens: 60, token_ms: 5 } });
const seen = [];
for await (const event of resumable) {
  seen.push(event);
  if (seen.length === 10) {
    break;
  }
}
const rest = [];
for await (const event of await responses.retrieve(seen[0].response.id, { stream: true, starting_after: seen.at(-1).sequence_number })) {
  rest.push(event);
}
const all = [...seen, ...rest];
assert.deepEqual(all.map((event) => event.sequence_number), all.map((_, index) => index));
assert.equal(all.at(-1).type, 'response.completed');
assert.equal(all.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta).join(''), all.at(-1).response.output[0].content[0].text);

// store: false leaves nothing behind.
const unstored = await responses.create({ model, input: 'Forget this', store: false });
await fails(responses.retrieve(unstored.id), OpenAI.NotFoundError, 404);
await fails(responses.create({ model, input: 'x', previous_response_id: 'resp_none' }), OpenAI.BadRequestError, 400);
await fails(responses.create({ model, input: 'x', previous_response_id: first.id, conversation: 'conv_1' }), OpenAI.BadRequestError, 400);

await responses.delete(other.id);
await fails(responses.retrieve(other.id), OpenAI.NotFoundError, 404);
saw(types.length, 'events,', seen.length, '+', rest.length, 'resumed');
