import assert from 'node:assert/strict';
import { client, history, model, saw, unique } from './harness.mjs';

const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const tools = [{ type: 'function', function: { name: 'get_weather', description: 'The weather of a city.', parameters } }];

// By hand: the model calls, the next request brings the result only.
const { data: asked, response } = await client.chat.completions
  .create({ model, tools, messages: [{ role: 'user', content: unique('Please use get_weather') }] })
  .withResponse();
const session = response.headers.get('x-session-id');
assert.equal(asked.choices[0].finish_reason, 'tool_calls');
const [call] = asked.choices[0].message.tool_calls;
assert.equal(call.function.name, 'get_weather');
assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');

const told = await client.chat.completions.create({ model, tools, session_id: session, messages: [{ role: 'tool', tool_call_id: call.id, content: 'Sunny' }] });
assert.equal(told.choices[0].finish_reason, 'stop');
const stored = await history(session);
assert.deepEqual(stored.map((message) => message.role), ['user', 'assistant', 'tool', 'assistant']);
assert.deepEqual(stored[1].tool_calls[0].function, call.function);
assert.equal(stored[2].tool_call_id, call.id);
saw(call);

// Streamed: the calls arrive in pieces.
const stream = client.chat.completions.stream({ model, tools, session_id: session, messages: [{ role: 'user', content: 'get_weather once more' }] });
const streamed = (await stream.finalChatCompletion()).choices[0].message.tool_calls[0];
assert.deepEqual((await history(session))[5].tool_calls[0].function.arguments, streamed.function.arguments);
await client.chat.completions.create({ model, tools, session_id: session, messages: [{ role: 'tool', tool_call_id: streamed.id, content: 'Rain' }] });

// A named tool, and a tool that must be called.
const named = await client.chat.completions.create({ model, tools, tool_choice: { type: 'function', function: { name: 'get_weather' } }, messages: [{ role: 'user', content: 'Hello' }] });
assert.equal(named.choices[0].message.tool_calls[0].function.name, 'get_weather');
const required = await client.chat.completions.create({ model, tools, tool_choice: 'required', messages: [{ role: 'user', content: 'Hello' }] });
assert.equal(required.choices[0].finish_reason, 'tool_calls');

// The helper that calls the functions and sends the whole transcript each time.
for (const streaming of [false, true]) {
  const cities = [];
  const question = unique('What does get_weather say?');
  const runner = client.chat.completions.runTools({
    model,
    stream: streaming,
    messages: [{ role: 'user', content: question }],
    tools: [{ type: 'function', function: { name: 'get_weather', description: 'The weather.', parameters, parse: JSON.parse, function: ({ city }) => (cities.push(city), `fine in ${city}`) } }],
  });
  const answer = await runner.finalContent();
  assert.equal(cities.length, 1);
  assert.ok(answer.includes(`fine in ${cities[0]}`));
  assert.deepEqual(runner.messages.map((message) => message.role), ['user', 'assistant', 'tool', 'assistant']);
  saw(streaming ? 'streamed:' : 'whole:', answer);
}
