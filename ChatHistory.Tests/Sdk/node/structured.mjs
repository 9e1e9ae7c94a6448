import assert from 'node:assert/strict';
import { client, history, model, saw, unique } from './harness.mjs';

const schema = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false };
const response_format = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } };

const completion = await client.chat.completions.parse({ model, response_format, messages: [{ role: 'user', content: unique('Who?') }] });
const person = JSON.parse(completion.choices[0].message.content);
assert.equal(typeof person.name, 'string');
assert.ok(Number.isInteger(person.age));
assert.deepEqual(JSON.parse((await history(completion.session_id))[1].content), person);
saw(person);

let text = '';
for await (const chunk of await client.chat.completions.create({ model, response_format, stream: true, messages: [{ role: 'user', content: unique('Who?') }] })) {
  text += chunk.choices[0]?.delta.content ?? '';
}
assert.deepEqual(Object.keys(JSON.parse(text)), ['name', 'age']);

const object = await client.chat.completions.create({ model, response_format: { type: 'json_object' }, messages: [{ role: 'user', content: 'As JSON, please' }] });
assert.equal(typeof JSON.parse(object.choices[0].message.content), 'object');
saw(text, object.choices[0].message.content);
