import assert from 'node:assert/strict';
import { client, model, saw } from './harness.mjs';

const ids = [];
for await (const entry of client.models.list()) {
  assert.equal(entry.object, 'model');
  ids.push(entry.id);
}
assert.deepEqual(ids, [model]);

const page = await client.models.list();
assert.equal(page.hasNextPage(), false);
assert.equal((await client.models.retrieve(model)).id, model);
saw(ids);
