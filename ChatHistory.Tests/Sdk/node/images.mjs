import assert from 'node:assert/strict';
import { client, history, model, reached, saw, unique } from './harness.mjs';

const pixel = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const question = unique('What is in it?');
const content = [
  { type: 'text', text: question },
  { type: 'image_url', image_url: { url: pixel, detail: 'low' } },
  { type: 'text', text: 'And why?' },
];
const completion = await client.chat.completions.create({ model, messages: [{ role: 'user', content }] });

const stored = await history(completion.session_id);
assert.deepEqual(stored[0].content_parts, content);
assert.equal(stored[0].content, `${question}\nAnd why?`);

// The next turn sends the picture to the model again, as it was.
const next = unique('Larger?');
await client.chat.completions.create({ model, session_id: completion.session_id, messages: [{ role: 'user', content: next }] });
const [request] = await reached(next);
assert.deepEqual(request.body.messages[0].content, content);
saw(stored[0].content_parts.length, 'parts,', completion.usage.prompt_tokens, 'tokens');
