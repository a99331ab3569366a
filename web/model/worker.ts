import * as ort from "onnxruntime-web/wasm";

console.log(ort.env.versions);
