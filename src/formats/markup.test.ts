import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { csvCell, escapeMarkup, markdownCell } from './index.ts';

/** A row of CSV taken apart again (RFC 4180). */
function parsed(row: string): string[] {
  const cells: string[] = [];
  // A comma in front makes all cells alike.
  for (const [, quoted, plain] of `,${row}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g))
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
  return cells;
}

test('CSV cells come back as they were, and none is a formula', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string().filter(text => !text.startsWith("'")),
        { minLength: 1 },
      ),
      cells => {
        const back = parsed(cells.map(csvCell).join(','));
        assert.equal(
          back.map(cell => cell.replace(/^'(?=[=+\-@\t\r])/, '')),
          cells,
        );
        for (const cell of back) assert.ok(!/^[=+\-@]/.test(cell) || Number.isFinite(Number(cell)), cell);
      },
    ),
  );
  assert.is(csvCell('=HYPERLINK("http://x")'), `"'=HYPERLINK(""http://x"")"`);
  assert.equal([csvCell(-0.5), csvCell('-0.5'), csvCell('a,b')], ['-0.5', '-0.5', '"a,b"']);
});

test('Markdown cells have no bar, line, code, emphasis, link or HTML of their own', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'|`*_<>[]()\\\n\ta b') }), text => {
      const cell = markdownCell(text);
      assert.not.match(cell, /[\n<>]/);
      assert.not.match(cell.replace(/\\./g, 'x'), /[|`*]|\]\(/);
    }),
  );
  assert.is(markdownCell('0.1 [0.05, 0.2]'), '0.1 [0.05, 0.2]');
  assert.is(markdownCell('banded_0037'), 'banded_0037');
  assert.is(markdownCell('_x_ **y** [a](b) <b>'), '\\_x\\_ \\*\\*y\\*\\* [a]\\(b) &lt;b&gt;');
});

test('markup is text', () => {
  assert.is(escapeMarkup(`<a href="x">'&`), '&lt;a href=&quot;x&quot;&gt;&#39;&amp;');
});

test.run();
