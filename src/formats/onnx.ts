/**
 * ONNX models: a graph of operators with named values, as protocol buffers. Field numbers are those of onnx.proto3
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), of which this is the part that a plain feed-forward graph needs.
 */
import { bytesOf, type NdArray } from './arrays.ts';
import { bytes, message, packed, whole } from './protobuf.ts';

export type OnnxAttribute = { readonly int: number } | { readonly ints: readonly number[] };

/** One operator: https://onnx.ai/onnx/operators */
export interface OnnxNode {
  readonly op: string;
  /** Names of values; an empty one leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** A float32 input or output; axes with a name take any length. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  readonly about?: string;
}

/** A graph of operators with what it needs to be run. */
export interface OnnxModel {
  readonly name: string;
  readonly about: string;
  /** Version of the operators. */
  readonly opset: number;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Constants by name: float32, or int64 for shapes and axes. */
  readonly constants: Readonly<Record<string, NdArray<Float32Array | BigInt64Array>>>;
  /** In an order in which every value is there before it is used. */
  readonly nodes: readonly OnnxNode[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly producer: { readonly name: string; readonly version: string };
}

/** IR version 8 is what opset 17 (2022) came with: readers take all older ones. */
const IR_VERSION = 8;
const FLOAT = 1;
const INT64 = 7;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;

const attribute = (name: string, value: OnnxAttribute): Uint8Array =>
  'int' in value
    ? message([bytes(1, name), whole(3, value.int), whole(20, ATTRIBUTE_INT)])
    : message([bytes(1, name), ...value.ints.map(one => whole(8, one)), whole(20, ATTRIBUTE_INTS)]);

const node = ({ op, inputs, outputs, attributes = {} }: OnnxNode): Uint8Array =>
  message([
    ...inputs.map(name => bytes(1, name)),
    ...outputs.map(name => bytes(2, name)),
    bytes(3, outputs[0]),
    bytes(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
  ]);

const tensor = (name: string, { shape, data }: NdArray<Float32Array | BigInt64Array>): Uint8Array =>
  message([
    packed(1, shape),
    whole(2, data instanceof Float32Array ? FLOAT : INT64),
    bytes(8, name),
    bytes(9, bytesOf(data)),
  ]);

/** ValueInfoProto of a float32 tensor. */
function value({ name, shape, about }: OnnxValue): Uint8Array {
  const axes = shape.map(axis =>
    bytes(1, message([typeof axis === 'number' ? whole(1, axis) : bytes(2, axis)])),
  );
  const type = message([bytes(1, message([whole(1, FLOAT), bytes(2, message(axes))]))]);
  return message([bytes(1, name), bytes(2, type), about === undefined ? undefined : bytes(3, about)]);
}

/** The bytes of an .onnx file. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const graph = message([
    ...model.nodes.map(one => bytes(1, node(one))),
    bytes(2, model.name),
    ...Object.entries(model.constants).map(([name, array]) => bytes(5, tensor(name, array))),
    bytes(10, model.about),
    ...model.inputs.map(one => bytes(11, value(one))),
    ...model.outputs.map(one => bytes(12, value(one))),
  ]);
  return message([
    whole(1, IR_VERSION),
    bytes(2, model.producer.name),
    bytes(3, model.producer.version),
    bytes(6, model.about),
    bytes(7, graph),
    bytes(8, message([bytes(1, ''), whole(2, model.opset)])),
    ...Object.entries(model.metadata).map(([key, text]) =>
      bytes(14, message([bytes(1, key), bytes(2, text)])),
    ),
  ]);
}
