// graphql-codegen reads the schema from the service and the operations from src/, and writes their types to src/gql/.
import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: `${process.env.CINEGRAPH_URL ?? "http://127.0.0.1:8080"}/graphql`,
  documents: "src/*.ts",
  emitLegacyCommonJSImports: false,
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: { strictScalars: true, scalars: { Date: "string", DateTime: "string", JSON: "unknown" } },
    },
  },
};
export default config;
