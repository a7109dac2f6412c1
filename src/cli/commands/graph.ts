import { extname } from 'node:path';
import type { Command } from 'commander';
import sharp from 'sharp';
import {
  buildGraph,
  type GraphOptions,
  ncaNetwork,
  ncaPicture,
  type ParameterGraph,
  toGexf,
  toGraphml,
  toJson,
  toSvg,
} from '../../../graphs/index.ts';
import { settle, UserError } from '../../config/index.ts';
import { loadWeights, WEIGHTS_HELP } from '../../data/index.ts';
import { writeAtomically } from '../../formats/index.ts';
import type { NcaSpec } from '../../nca/index.ts';
import { whole } from '../options.ts';
import { givenSpec, saySpec, withSpec } from '../spec.ts';
import { jsonOption, keyValueTable, show } from '../tables.ts';

interface Options {
  out: string;
  spec?: string;
  width: number;
  height: number;
  bias: NonNullable<GraphOptions['bias']>;
  recurrent: boolean;
  reverse: boolean;
  json?: boolean;
}

type Writer = (graph: ParameterGraph, spec: NcaSpec, options: Options) => string | Promise<Uint8Array>;

const svg: Writer = (graph, spec, { width, height, bias }) => {
  const { colour, ...rest } = ncaPicture(spec);
  // The colours go by the place of a node among bias nodes.
  return toSvg(graph, { ...rest, width, height, ...(bias === 'nodes' && { colour }) });
};

const WRITERS: Readonly<Record<string, Writer>> = {
  '.svg': svg,
  // Drawn at twice the size: for print.
  '.png': async (graph, spec, options) =>
    new Uint8Array(
      await sharp(Buffer.from(String(await svg(graph, spec, options))), { density: 144 })
        .png({ palette: true })
        .toBuffer(),
    ),
  '.gexf': graph => toGexf(graph),
  '.graphml': graph => toGraphml(graph),
  '.json': graph => toJson(graph),
};

async function draw(argument: string, options: Options) {
  const writer = WRITERS[extname(options.out).toLowerCase()];
  if (!writer) {
    throw new UserError(
      `--out: expected a name that ends in ${Object.keys(WRITERS).join(', ')}, found "${options.out}".`,
      2,
    );
  }
  if (options.bias !== 'nodes' && options.bias !== 'self-loops') {
    throw new UserError(`--bias: expected nodes or self-loops, found "${options.bias}".`, 2);
  }
  const { spec, flat } = await settle(loadWeights(argument, { spec: await givenSpec(options.spec) }));
  const graph = buildGraph(ncaNetwork(spec, { recurrent: options.recurrent }), flat, {
    bias: options.bias,
    reverseEdges: options.reverse,
  });
  await settle(writeAtomically(options.out, await writer(graph, spec, options)));
  await saySpec(spec);
  const facts = { nodes: graph.order, edges: graph.size, weights: flat.length, file: options.out };
  show(options.json, facts, keyValueTable);
}

export const register = (program: Command): void => {
  const command = program
    .command('graph')
    .description('The parameter graph of an NCA as a picture or a file for graph programs')
    .argument('<weights>', WEIGHTS_HELP)
    .requiredOption(
      '-o, --out <file>',
      'x.svg, x.png, x.gexf (Gephi), x.graphml (yEd, NetworkX, igraph) or x.json (graphology)',
    )
    .option('--width <n>', 'of the picture', whole(200, 8000), 1200)
    .option('--height <n>', 'of the picture', whole(200, 8000), 800)
    .option(
      '--bias <how>',
      'nodes: a bias is a node of its own; self-loops: an edge from each unit to itself',
      'nodes',
    )
    .option('--recurrent', 'tie each channel to the inputs that perceive it', false)
    .addOption(jsonOption())
    .option('--reverse', 'add an edge against every edge (files only)', false)
    .addHelpText(
      'after',
      `
Example:
  weightloom graph dots.pt --out dots.svg`,
    )
    .action(draw);
  withSpec(command);
};
