/** Some rows of a tensor of a safetensors file, the rest left on the disk. */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse } from '../config/index.ts';
import { BYTES, decodeElements, type NumericArray, sizeOf } from './arrays.ts';
import { readInto, withFile } from './files.ts';
import { readHeader } from './safetensors.ts';

/**
 * Rows first .. first + count - 1 of a tensor [N, ...].
 * @returns a TaskEither of its numbers, row-major; a failure for rows or a tensor that the file has not
 */
export const readSafetensorsRows = (
  path: string,
  name: string,
  first: number,
  count: number,
): TE.TaskEither<Failure, NumericArray> =>
  attempt(path, () =>
    withFile(path, async (file, size) => {
      const { entries, dataStart } = await readHeader(file, size, path);
      const { type, stored, shape, begin } =
        entries.get(name) ?? refuse(path, `a tensor ${name}`, 'none of that name');
      if (!type) return refuse(path, 'a type that is read here', stored, { field: name });
      if (!(first >= 0 && count >= 0 && first + count <= (shape[0] ?? 0))) {
        return refuse(path, `rows below ${shape[0] ?? 0}`, `${first} to ${first + count}`, { field: name });
      }
      const row = sizeOf(shape.slice(1)) * BYTES[type];
      const bytes = new Uint8Array(count * row);
      await readInto(file, bytes, dataStart + begin + first * row, path);
      return decodeElements(bytes, type);
    }),
  );
