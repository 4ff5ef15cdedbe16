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

struct ParseOptions {
  std::string default_namespace = "default";  // of documents that name none
  // Documents that can never be policy or workload are no errors (policy/resource/unknown_kind.h).
  bool skip_unknown = false;
  // A Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob is a pod, by its template: "deployment/web".
  bool pod_templates = false;
};

// What one text holds: with problems, what is right of it all the same.
struct ParsedText {
  std::vector<Resource> resources;
  std::vector<Place> places;  // of each of them
  std::vector<Problem> problems;
  std::vector<Problem> skipped;       // by `skip_unknown`: what each is
  std::size_t without_namespace = 0;  // documents that are in `default_namespace` for want of one
};

// Every document of `text` in order; empty documents are skipped; lists (v1 List, PodList, ...) are unfolded.
// `origin` (a file name, "stdin", ...) starts each error:
//   web.yaml:12: NetworkPolicy shop/db: spec.ingress[0].ports[0].endPort: 79 is below port 80
ParsedText ParseText(std::string_view origin, std::string_view text, const ParseOptions& options = {});

// All documents, or one error with all that is wrong, a line each, as far as an error may be long.
StatusOr<std::vector<Resource>> ParseResources(std::string_view origin, std::string_view text);

// One error that has all `problems`, of which there is one at least. For ParseResources and who calls ParseText.
Status ToStatus(std::string_view origin, const std::vector<Problem>& problems);

// What is said of a text that is no error: "web.yaml:12: Deployment/web: left out: neither policy nor workload", and
// that `count` objects are in "default".
std::string SkippedText(std::string_view origin, const Problem& skipped);
std::string DefaultNamespaceText(std::string_view origin, std::size_t count);

// One document as JSON text, for `get -o json`.
StatusOr<std::string> YamlToJson(std::string_view yaml);

}  // namespace sluice::policy
