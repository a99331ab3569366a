/**
 * Makes a network show what goes on inside: an ONNX graph gets other outputs, edited as bytes.
 *
 * The TypeScript of Python's `onnx_graph.edit`. Field numbers: `onnx.proto` of the ONNX project.
 */
import { concat, encodeField, fields } from "./protobuf";

const GRAPH = 7; // of a model
const OUTPUT = 12; // of a graph
const NAME = 1; // of an output

/**
 * A model that gives other tensors.
 *
 * @param model a serialised `ModelProto`; it isn't changed.
 * @param outputs names of tensors anywhere in the graph; they replace its outputs.
 */
export function rewired(model: Uint8Array, outputs: readonly string[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [number, value] of fields(model)) {
    const isGraph = number === GRAPH && value instanceof Uint8Array;
    parts.push(encodeField(number, isGraph ? withOutputs(value, outputs) : value));
  }
  return concat(parts);
}

function withOutputs(graph: Uint8Array, outputs: readonly string[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, value] of fields(graph)) if (number !== OUTPUT) parts.push(encodeField(number, value));
  for (const name of outputs) parts.push(encodeField(OUTPUT, encodeField(NAME, new TextEncoder().encode(name))));
  return concat(parts);
}
