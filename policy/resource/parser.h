// YAML or JSON text -> resources, or errors that name file, document, line, field and value.
//   auto r = ParseResources("web.yaml", text);   // all documents or nothing
// Pure: no files are opened here. The only user of yaml-cpp (policy/resource/yaml.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/model.h"
#include "policy/resource/resource_field.h"

namespace sluice::policy {

// Larger texts are refused before they are parsed.
inline constexpr std::size_t kMaxResourceBytes = 32U << 20U;

// A kind that another directory parses. See policy/kinds/kinds.h.
struct KindParser {
  Kind kind = Kind::kTracingPolicy;
  // Sets the resource's member. Its errors go to the document of `root`.
  Status (*parse)(const Field& root, const ObjectName& name, Resource& resource) = nullptr;
  bool has_lenient_mode = false;  // `parse` reads more with Document::lenient, and takes keys that are there twice
};

struct ParseOptions {
  std::string default_namespace = "default";  // for documents without a namespace
  // Skip documents that can never be a policy or a workload (policy/resource/unknown_kind.h), instead of an error.
  bool skip_unknown = false;
  // Read the pod template of a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob as a pod that is named
  // "deployment/web".
  bool pod_templates = false;
  // Without an entry, documents of such kinds are errors as those of unknown kinds are.
  std::vector<KindParser> more_kinds = {};
  // For kinds with a lenient mode: what people's files misspell is a warning. Other kinds are read as without it.
  bool lenient = false;
};

// The content of one text. When there are problems, `resources` still has the documents without one.
struct ParsedText {
  std::vector<Resource> resources;
  std::vector<Place> places;  // one for each resource
  std::vector<Problem> problems;
  std::vector<Problem> warnings;      // of documents that are read nevertheless
  std::vector<Problem> skipped;       // because of `skip_unknown`; says what each document is
  std::size_t without_namespace = 0;  // documents that got `default_namespace`
};

// Every document of `text` in order; empty documents are skipped; lists (v1 List, PodList, ...) are unfolded.
// `origin` (a file name, "stdin", ...) starts each error:
//   web.yaml:12: NetworkPolicy shop/db: spec.ingress[0].ports[0].endPort: 79 is below port 80
ParsedText ParseText(std::string_view origin, std::string_view text, const ParseOptions& options = {});

// All documents, or one error with one line for each problem. The length of an error is limited.
StatusOr<std::vector<Resource>> ParseResources(std::string_view origin, std::string_view text,
                                               const ParseOptions& options = {});

// One error that lists all `problems`; there must be at least one. For callers of ParseText.
Status ToStatus(std::string_view origin, const std::vector<Problem>& problems);

// Notes about a text that are not errors: "web.yaml:12: Deployment/web: left out: neither policy nor workload",
// "ls.yaml:9: KubeArmorPolicy/ls: warning: spec.file.recurive: ...", and that `count` objects are put in "default".
std::string SkippedText(std::string_view origin, const Problem& skipped);
std::string WarningText(std::string_view origin, const Problem& warning);
std::string DefaultNamespaceText(std::string_view origin, std::size_t count);

// One document as JSON text, for `get -o json`.
StatusOr<std::string> YamlToJson(std::string_view yaml);

}  // namespace sluice::policy
