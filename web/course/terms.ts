/** Terms of the glossary, each with the page where it can be touched; their words are `site.term.<id>.…`. */
export const TERMS: Readonly<Record<string, string>> = {
  convolution: "convolution",
  kernel: "convolution",
  weight: "convolution",
  filter: "convolution",
  "feature-map": "convolution",
  correlation: "correlation",
  padding: "sizes",
  stride: "sizes",
  pooling: "pooling",
};
