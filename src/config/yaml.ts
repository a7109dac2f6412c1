/** YAML from outside: one document, aliases within reason, no deeper than people write. */
import { CST, isScalar, Lexer, LineCounter, parseDocument, visit } from 'yaml';
import { refuse, UserError } from './failure.ts';

/** Levels of nesting; a value that contains itself through an alias has more than any. */
const DEPTH = 64;
/** Nodes of the value with every alias written out: ten aliases of ten aliases of ten ... stop here. */
const NODES = 1_000_000;

function checkSize(value: unknown, where: string): void {
  let nodes = 0;
  const walk = (node: unknown, depth: number): void => {
    if (typeof node !== 'object' || node === null) return;
    if (depth === DEPTH) refuse(where, `YAML of at most ${DEPTH} levels`, 'deeper nesting');
    for (const child of Object.values(node)) {
      if (++nodes > NODES)
        refuse(where, `YAML of at most ${NODES} values`, 'more, with its aliases written out');
      walk(child, depth + 1);
    }
  };
  walk(value, 0);
}

/** Longer than any configuration. */
const LENGTH = 2 ** 20;

/**
 * Refuses nesting that the parser would overflow at (or, in version 2.9, bring the whole process down): by its tokens, before it builds
 * anything. Deep nesting by indentation alone takes texts of the square of the depth.
 */
function checkNesting(text: string, where: string): void {
  if (text.length > LENGTH) refuse(where, `YAML of at most ${LENGTH} characters`, `${text.length}`);
  let flow = 0;
  let inLine = 0;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'flow-seq-start' || type === 'flow-map-start') flow++;
    else if (type === 'flow-seq-end' || type === 'flow-map-end') flow--;
    else if (type === 'newline') inLine = 0;
    // Within brackets a colon makes no level: a whole configuration may stand in one line, as JSON does.
    else if (
      flow === 0 &&
      (type === 'seq-item-ind' || type === 'explicit-key-ind' || type === 'map-value-ind')
    )
      inLine++;
    if (flow > DEPTH || inLine > DEPTH) refuse(where, `YAML of at most ${DEPTH} levels`, 'deeper nesting');
  }
}

/** The value of a YAML text; `where` names the file or option in a refusal. */
export function parseYaml(text: string, where: string): unknown {
  checkNesting(text, where);
  const lines = new LineCounter();
  const broken = (message: string, offset?: number): never => {
    const { line, col } = offset === undefined ? { line: 0, col: 0 } : lines.linePos(offset);
    const place = line > 0 ? ` at line ${line}, column ${col}` : '';
    return refuse(where, 'YAML', `text that is not (${message.split('\n')[0]}${place})`);
  };
  let value: unknown;
  try {
    // Pretty errors go over the text once for each error, the parser's own search for equal keys over all keys for each key.
    const document = parseDocument(text, {
      prettyErrors: false,
      uniqueKeys: false,
      lineCounter: lines,
      logLevel: 'error',
    });
    const [error] = document.errors;
    if (error) return broken(error.message, error.pos[0]);
    visit(document, {
      Map(_, map) {
        const seen = new Set<unknown>();
        for (const { key } of map.items) {
          if (!isScalar(key)) continue;
          if (seen.has(key.value)) broken('Map keys must be unique', key.range?.[0]);
          seen.add(key.value);
        }
      },
    });
    value = document.toJS();
  } catch (error) {
    if (error instanceof UserError) throw error;
    // The parser's own limits: aliases that multiply, nesting that overflows the stack.
    return broken((error as Error).message);
  }
  checkSize(value, where);
  return value;
}
