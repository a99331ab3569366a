/** An ONNX graph as plain records, as far as its anatomy needs. Field numbers: `onnx.proto` of the ONNX project. */
import { asText, concat, fields, varint } from "./protobuf";

export interface Node {
  /** The operator, such as "Conv". */
  op: string;
  inputs: string[];
  outputs: string[];
  /** Its attribute `axes`, where it has one. */
  axes: number[];
}

export interface Graph {
  nodes: Node[];
  /** Weights and other fixed tensors by name: the bytes of their float32 numbers; none for other types. */
  constants: Map<string, Uint8Array>;
}

const GRAPH = 7; // of a model
const FLOAT = 1;

type Message = Map<number, (bigint | Uint8Array)[]>;

/** Reads a serialised model. Throws where it is none. */
export function readGraph(model: Uint8Array): Graph {
  const graph = bytesOf(message(model), GRAPH).at(-1);
  if (!graph) throw new Error("model.onnx is no ONNX model: it holds no graph.");
  const found = message(graph);
  return { nodes: bytesOf(found, 1).map(readNode), constants: new Map(bytesOf(found, 5).map(readTensor)) };
}

function readNode(content: Uint8Array): Node {
  const node = message(content);
  const attributes = bytesOf(node, 5).map(message);
  const axes = attributes.find((attribute) => textOf(attribute, 1) === "axes");
  return {
    op: textOf(node, 4),
    inputs: bytesOf(node, 1).map(asText),
    outputs: bytesOf(node, 2).map(asText),
    axes: axes ? integers(axes.get(8) ?? []) : [],
  };
}

function readTensor(content: Uint8Array): [name: string, numbers: Uint8Array] {
  const tensor = message(content);
  const isFloat = integers(tensor.get(2) ?? [])[0] === FLOAT;
  const raw = bytesOf(tensor, 9)[0] ?? concat(bytesOf(tensor, 4));
  return [textOf(tensor, 8), isFloat ? raw : new Uint8Array()];
}

/** Little-endian numbers that may begin at any byte. */
export function floats(raw: Uint8Array): Float32Array {
  return new Float32Array(raw.slice().buffer);
}

function message(content: Uint8Array): Message {
  const found: Message = new Map();
  for (const [number, value] of fields(content)) {
    const values = found.get(number);
    if (values) values.push(value);
    else found.set(number, [value]);
  }
  return found;
}

function bytesOf(found: Message, number: number): Uint8Array[] {
  return (found.get(number) ?? []).filter((value) => value instanceof Uint8Array);
}

function textOf(found: Message, number: number): string {
  const last = bytesOf(found, number).at(-1);
  return last ? asText(last) : "";
}

/** Signed integers, packed or not. */
function integers(values: (bigint | Uint8Array)[]): number[] {
  const found: bigint[] = [];
  for (const value of values) {
    if (typeof value === "bigint") found.push(value);
    else {
      for (let at = 0; at < value.length;) {
        const [integer, next] = varint(value, at);
        found.push(integer);
        at = next;
      }
    }
  }
  return found.map((value) => Number(BigInt.asIntN(64, value)));
}
