/** Two thousand mutated files of every format: see fuzz.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fuzz } from './fuzz.ts';

test('mutated files end in one sentence, or are read as the text of their format says', async () => {
  const { inputs, accepted, refused } = await fuzz(2000, 1);
  assert.is(inputs, 2000);
  // Both ways are gone often enough to mean something.
  assert.ok(accepted > 200 && refused > 600, `${accepted} accepted, ${refused} refused`);
});

test.run();
