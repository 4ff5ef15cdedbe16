#include "policy/resource/parser.h"

#include <algorithm>
#include <array>

#include "base/printable.h"
#include "policy/resource/resource_emit.h"
#include "policy/resource/resource_kinds.h"
#include "policy/resource/resource_scalar.h"
#include "policy/resource/unknown_kind.h"
#include "policy/resource/yaml.h"

namespace sluice::policy {
namespace {

// In the order of error messages.
constexpr std::array kKinds = {Kind::kNamespace,           Kind::kPod,
                               Kind::kNetworkPolicy,       Kind::kWorkload,
                               Kind::kSluiceNetworkPolicy, Kind::kSluiceClusterNetworkPolicy};

constexpr std::size_t kMaxErrorBytes = 4000;  // gRPC sends a status in headers, which have at most 8 KiB
constexpr std::size_t kMaxProblems = 1000;    // for each text

struct TypeMeta {
  std::string api_version;
  std::string kind;
};

// A kind that makes pods, and where its pod template is.
struct PodMaker {
  const char* api_version;
  const char* kind;
  const char* pods;  // first part of the pods' names
  bool by_jobs;      // the template is inside spec.jobTemplate
};
constexpr PodMaker kPodMakers[] = {
    {"apps/v1", "Deployment", "deployment", false},
    {"apps/v1", "StatefulSet", "statefulset", false},
    {"apps/v1", "DaemonSet", "daemonset", false},
    {"apps/v1", "ReplicaSet", "replicaset", false},
    {"v1", "ReplicationController", "replicationcontroller", false},
    {"batch/v1", "Job", "job", false},
    {"batch/v1", "CronJob", "cronjob", true},
};

using KindParsers = std::vector<KindParser>;

std::string SupportedKinds(const KindParsers& more) {
  std::string text = "v1 List";
  const auto add = [&](Kind kind) { text += fmt::format(", {} {}", KindApiVersion(kind), KindName(kind)); };
  for (const Kind kind : kKinds) add(kind);
  for (const KindParser& parser : more) add(parser.kind);
  return text;
}

std::optional<Kind> FindKind(const TypeMeta& type, const KindParsers& more) {
  const auto is_it = [&](Kind kind) { return type.api_version == KindApiVersion(kind) && type.kind == KindName(kind); };
  for (const Kind kind : kKinds) {
    if (is_it(kind)) return kind;
  }
  for (const KindParser& parser : more) {
    if (is_it(parser.kind)) return parser.kind;
  }
  return std::nullopt;
}

const PodMaker* FindPodMaker(const TypeMeta& type) {
  const auto* const maker = std::find_if(std::begin(kPodMakers), std::end(kPodMakers), [&](const PodMaker& candidate) {
    return type.api_version == candidate.api_version && type.kind == candidate.kind;
  });
  return maker == std::end(kPodMakers) ? nullptr : maker;
}

bool HasLenientMode(Kind kind, const KindParsers& more) {
  return std::any_of(more.begin(), more.end(),
                     [&](const KindParser& parser) { return parser.kind == kind && parser.has_lenient_mode; });
}

// The type of the list's items; an empty kind means any type. Absent: not a list.
std::optional<TypeMeta> ItemsOfList(const TypeMeta& list, const ParseOptions& options) {
  if (list.api_version == "v1" && list.kind == "List") return TypeMeta();
  if (!list.kind.ends_with("List")) return std::nullopt;
  TypeMeta item{.api_version = list.api_version, .kind = list.kind.substr(0, list.kind.size() - 4)};
  return FindKind(item, options.more_kinds) ? std::optional(item) : std::nullopt;
}

// `implied`: the type of items that do not name one, as in a PodList.
StatusOr<TypeMeta> ParseTypeMeta(const Field& root, const TypeMeta& implied) {
  SL_RETURN_IF_ERROR(root.CheckMap());
  TypeMeta type = implied;
  SL_RETURN_IF_ERROR(root.Read("apiVersion", type.api_version, ParseString));
  SL_RETURN_IF_ERROR(root.Read("kind", type.kind, ParseString));
  if (type.api_version.empty()) return root.Missing("apiVersion");
  if (type.kind.empty()) return root.Missing("kind");
  if (implied.kind.empty() || (type.api_version == implied.api_version && type.kind == implied.kind)) return type;
  return root.Error(
      fmt::format("{} {} in a list of {} {}", type.api_version, type.kind, implied.api_version, implied.kind));
}

std::string ScalarAt(const YamlNode* map, std::string_view key) {
  const YamlNode* value = map == nullptr ? nullptr : map->Find(key);
  return value == nullptr ? "" : value->scalar;
}

// Sets the object's names for errors, as far as they can be read before validation.
void NameObject(const YamlNode& root, const std::string& kind, bool in_namespace, Document& document) {
  const YamlNode* metadata = root.Find("metadata");
  const std::string name = ScalarAt(metadata, "name");
  if (name.empty()) {
    document.subject = fmt::format("{} ({})", kind, document.subject);
    document.object = kind;
    return;
  }
  const std::string ns = ScalarAt(metadata, "namespace");
  const ObjectName full{.ns = !in_namespace ? "" : ns.empty() ? document.default_namespace : ns, .name = name};
  document.subject = fmt::format("{} {}", kind, full.ToString());
  document.object = fmt::format("{}/{}", kind, name);
}

Status ParseBody(const Field& root, const Metadata& metadata, const KindParsers& more, Resource& resource) {
  for (const KindParser& parser : more) {
    if (parser.kind == resource.id.kind) return parser.parse(root, metadata.name, resource);
  }
  switch (resource.id.kind) {
    case Kind::kNamespace: {
      SL_ASSIGN_OR_RETURN(resource.ns, ParseNamespace(root, metadata));
      break;
    }
    case Kind::kPod: {
      SL_ASSIGN_OR_RETURN(resource.pod, ParsePod(root, metadata));
      break;
    }
    case Kind::kWorkload: {
      SL_ASSIGN_OR_RETURN(resource.workload, ParseWorkload(root, metadata));
      break;
    }
    case Kind::kNetworkPolicy: {
      SL_ASSIGN_OR_RETURN(resource.policy, ParseNetworkPolicy(root, metadata, NetworkPolicy::Api::kKubernetes));
      break;
    }
    case Kind::kSluiceNetworkPolicy: {
      SL_ASSIGN_OR_RETURN(resource.policy, ParseNetworkPolicy(root, metadata, NetworkPolicy::Api::kSluice));
      break;
    }
    case Kind::kSluiceClusterNetworkPolicy: {
      SL_ASSIGN_OR_RETURN(resource.policy, ParseNetworkPolicy(root, metadata, NetworkPolicy::Api::kSluiceCluster));
      break;
    }
    case Kind::kTracingPolicy:
    case Kind::kTracingPolicyNamespaced:
    case Kind::kKubeArmorPolicy:
    case Kind::kKubeArmorHostPolicy:
    case Kind::kKubeArmorClusterPolicy:
    case Kind::kResponse:
      break;  // not reached: only `more` has them
  }
  return OkStatus();
}

StatusOr<std::shared_ptr<const Pod>> ParsePodOf(const PodMaker& maker, const Field& root, const ObjectName& name) {
  auto spec = root.Get("spec");
  for (const char* key : {"jobTemplate", "spec"}) {
    if (!maker.by_jobs || !spec) continue;
    SL_RETURN_IF_ERROR(spec->CheckMap());
    spec = spec->Get(key);
  }
  if (!spec) return root.Missing(maker.by_jobs ? "spec.jobTemplate.spec" : "spec");
  SL_RETURN_IF_ERROR(spec->CheckMap());
  const auto pod_template = spec->Get("template");
  if (!pod_template) return spec->Missing("template");
  return ParsePodTemplate(*pod_template, name);
}

// Inserts `key: text` first in `map` if the key is absent or null.
void SetDefault(YamlNode& map, const std::string& key, const std::string& text) {
  const YamlNode* present = map.Find(key);
  if (present != nullptr && present->type != YamlNode::Type::kNull) return;
  std::erase_if(map.entries, [&](const YamlNode::Entry& entry) { return entry.key == key; });
  auto value = std::make_shared<YamlNode>();
  value->type = YamlNode::Type::kScalar;
  value->quoted = true;
  value->scalar = text;
  map.entries.insert(map.entries.begin(), {.key = key, .place = map.place, .value = std::move(value)});
}

// The document with implied fields filled in: later it is parsed again without its list and the options.
std::string EmitWhole(const YamlNode& root, const TypeMeta& type, const std::string& ns) {
  YamlNode whole = root;
  SetDefault(whole, "kind", type.kind);
  SetDefault(whole, "apiVersion", type.api_version);
  for (YamlNode::Entry& entry : whole.entries) {
    if (entry.key != "metadata" || ns.empty()) continue;
    auto metadata = std::make_shared<YamlNode>(*entry.value);
    SetDefault(*metadata, "namespace", ns);
    entry.value = std::move(metadata);
  }
  return EmitYaml(whole);
}

void AppendUpTo(std::size_t limit, std::vector<Problem>& from, std::vector<Problem>& to) {
  for (Problem& problem : from) {
    if (to.size() >= limit) return;
    to.push_back(std::move(problem));
  }
}

class Collector {
 public:
  Collector(std::string_view origin, const ParseOptions& options) : origin_(origin), options_(options) {}

  // `where`: "document 2", or "document 2 items[3]".
  void Add(const YamlNode& node, const std::string& where, const TypeMeta& implied) {
    Document document{.origin = origin_,
                      .subject = where,
                      .default_namespace = options_.default_namespace,
                      .lenient = options_.lenient};
    if (IsNoObject(node)) {
      Skip(node, document, "not a Kubernetes object: it has no apiVersion and no kind");
      return;
    }
    // The document's problems already hold the error.
    AddObject(Field(document, node), where, implied, document).IgnoreError();
    AppendUpTo(kMaxProblems, document.problems, parsed_.problems);
    AppendUpTo(kMaxProblems, document.warnings, parsed_.warnings);
  }

  // Of a document that is not added yet. True: it may be added, as its kind has a lenient mode.
  bool AddDuplicates(const YamlNode& root, const std::string& where, const std::vector<TextError>& duplicates) {
    if (duplicates.empty()) return true;
    const TypeMeta type{.api_version = ScalarAt(&root, "apiVersion"), .kind = ScalarAt(&root, "kind")};
    const std::optional<Kind> kind = FindKind(type, options_.more_kinds);
    const bool lenient = kind && HasLenientMode(*kind, options_.more_kinds);
    Document document{.origin = origin_, .subject = where, .default_namespace = options_.default_namespace};
    if (lenient) NameObject(root, type.kind, IsNamespaced(*kind), document);
    std::vector<Problem> found;
    for (const TextError& one : duplicates) {
      found.push_back(
          {.place = one.place, .subject = document.subject, .object = document.object, .what = Printable(one.what)});
    }
    AppendUpTo(kMaxProblems, found, lenient ? parsed_.warnings : parsed_.problems);
    return lenient;
  }

  ParsedText Take() { return std::move(parsed_); }

 private:
  bool IsNoObject(const YamlNode& node) const {
    if (!options_.skip_unknown) return false;
    return node.type != YamlNode::Type::kMap || (node.Find("apiVersion") == nullptr && node.Find("kind") == nullptr);
  }

  void Skip(const YamlNode& node, const Document& document, std::string_view what) {
    if (parsed_.skipped.size() >= kMaxProblems) return;
    parsed_.skipped.push_back(
        {.place = node.place, .subject = document.subject, .object = document.object, .what = std::string(what)});
  }

  Status AddObject(const Field& root, const std::string& where, const TypeMeta& implied, Document& document) {
    const YamlNode& node = root.node();
    SL_ASSIGN_OR_RETURN(const TypeMeta type, ParseTypeMeta(root, implied));
    if (const auto items = ItemsOfList(type, options_)) return AddList(root, where, *items);
    const std::optional<Kind> kind = FindKind(type, options_.more_kinds);
    const PodMaker* maker = options_.pod_templates ? FindPodMaker(type) : nullptr;
    if (!kind && maker == nullptr) return AddUnknown(root, type, document);
    NameObject(node, type.kind, IsNamespaced(kind.value_or(Kind::kPod)), document);

    Resource resource{.id = {.kind = kind.value_or(Kind::kPod), .name = {}}};
    SL_ASSIGN_OR_RETURN(const Metadata metadata, ParseMetadata(root, resource.id.kind));
    resource.id.name = metadata.name;
    if (maker != nullptr) {
      resource.id.name.name = fmt::format("{}/{}", maker->pods, metadata.name.name);
      SL_ASSIGN_OR_RETURN(resource.pod, ParsePodOf(*maker, root, resource.id.name));
    } else {
      SL_RETURN_IF_ERROR(ParseBody(root, metadata, options_.more_kinds, resource));
    }
    const auto [first, added] = lines_.emplace(resource.id, root.place().line);
    if (!added) return DefinedTwice(root, first->second);
    const bool in_default = IsNamespaced(resource.id.kind) && ScalarAt(node.Find("metadata"), "namespace").empty();
    parsed_.without_namespace += in_default ? 1 : 0;
    const bool is_implied = in_default && options_.default_namespace != ParseOptions().default_namespace;
    resource.yaml = EmitWhole(node, type, is_implied ? options_.default_namespace : "");
    parsed_.resources.push_back(std::move(resource));
    parsed_.places.push_back(root.place());
    return OkStatus();
  }

  static Status DefinedTwice(const Field& root, int first_line) {
    return root.Error(fmt::format(
        "defined twice: the first definition is on line {}. Kubernetes would keep the last: remove one", first_line));
  }

  Status AddUnknown(const Field& root, const TypeMeta& type, Document& document) {
    if (options_.skip_unknown && !MayBePolicy(type.api_version, type.kind)) {
      document.object = type.kind;
      if (const std::string name = ScalarAt(root.node().Find("metadata"), "name"); !name.empty()) {
        document.object += "/" + name;
      }
      Skip(root.node(), document, "neither policy nor workload");
      return OkStatus();
    }
    const std::string hint = HintForKind(type.api_version, type.kind);
    const Field named = root.Get("kind").value_or(root);
    if (!hint.empty()) return named.Error(fmt::format("{} {}: {}", type.api_version, type.kind, hint));
    return named.Error(fmt::format("apiVersion {} has no kind {} here; known are {}", Quoted(type.api_version),
                                   Quoted(type.kind), SupportedKinds(options_.more_kinds)));
  }

  Status AddList(const Field& list, const std::string& where, const TypeMeta& implied) {
    SL_RETURN_IF_ERROR(list.AllowOnly({"apiVersion", "kind", "metadata", "items"}));
    const auto items = list.Get("items");
    if (!items) return OkStatus();
    SL_RETURN_IF_ERROR(items->CheckSequence());
    for (std::size_t i = 0; i < items->node().items.size(); ++i) {
      Add(*items->node().items[i], fmt::format("{} items[{}]", where, i), implied);
    }
    return OkStatus();
  }

  std::string_view origin_;
  const ParseOptions& options_;
  ParsedText parsed_;
  std::map<ResourceId, int> lines_;
};

// A hint for each line that has a problem. Reads the text once.
std::map<int, std::string> HintsByLine(std::string_view text, const std::vector<Problem>& problems) {
  std::map<int, std::string> hints;
  for (const Problem& problem : problems) hints[problem.place.line];
  int at = 1;
  for (auto& [line, hint] : hints) {
    for (; at < line && !text.empty(); ++at) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    if (at == line) hint = HintForTemplate(text.substr(0, text.find('\n')));
  }
  return hints;
}

// YAML reads a template's braces as a map, and reports its loops far from where they are.
void HintAtTemplates(std::string_view text, std::vector<Problem>& problems) {
  const std::map<int, std::string> hints = HintsByLine(text, problems);
  for (Problem& problem : problems) {
    const bool of_syntax = problem.subject.empty();
    std::string hint = hints.at(problem.place.line);
    if (hint.empty() && of_syntax) hint = HintForTemplate(text);
    if (!hint.empty()) problem.what += ". " + hint;
  }
}

}  // namespace

ParsedText ParseText(std::string_view origin, std::string_view text, const ParseOptions& options) {
  if (text.size() > kMaxResourceBytes) {
    ParsedText refused;
    refused.problems.push_back(
        {.what = fmt::format("{} bytes: at most {} are read, split the file", text.size(), kMaxResourceBytes)});
    return refused;
  }
  Collector collector(origin, options);
  std::vector<TextError> duplicates;
  const auto visit = [&](const YamlNode& root, int number) {
    const std::string where = fmt::format("document {}", number);
    if (collector.AddDuplicates(root, where, duplicates)) collector.Add(root, where, {});
    duplicates.clear();
  };
  const auto error = ParseYaml(text, visit, options.lenient ? &duplicates : nullptr);
  ParsedText parsed = collector.Take();
  if (error) parsed.problems.push_back({.place = error->place, .what = Printable(error->what)});
  HintAtTemplates(text, parsed.problems);
  return parsed;
}

Status ToStatus(std::string_view origin, const std::vector<Problem>& problems) {
  std::string text;
  std::size_t told = 0;
  for (const Problem& problem : problems) {
    const std::string line = problem.ToString(origin);
    if (told != 0 && text.size() + line.size() > kMaxErrorBytes) break;
    text += (told++ == 0 ? "" : "\n") + line;
  }
  if (told < problems.size()) text += fmt::format("\n{} more", problems.size() - told);
  return InvalidError("{}", text);
}

std::string SkippedText(std::string_view origin, const Problem& skipped) {
  const std::string& subject = skipped.object.empty() ? skipped.subject : skipped.object;
  return fmt::format("{}:{}: {}: left out: {}", origin, skipped.place.line, Printable(subject), skipped.what);
}

std::string WarningText(std::string_view origin, const Problem& warning) {
  const std::string& subject = warning.object.empty() ? warning.subject : warning.object;
  return fmt::format("{}:{}: {}: warning: {}", origin, warning.place.line, Printable(subject), warning.what);
}

std::string DefaultNamespaceText(std::string_view origin, std::size_t count) {
  return fmt::format("{}: {} {} no namespace: using \"default\", choose another with -n NAMESPACE", origin, count,
                     count == 1 ? "object has" : "objects have");
}

StatusOr<std::vector<Resource>> ParseResources(std::string_view origin, std::string_view text,
                                               const ParseOptions& options) {
  ParsedText parsed = ParseText(origin, text, options);
  if (!parsed.problems.empty()) return ToStatus(origin, parsed.problems);
  return std::move(parsed.resources);
}

}  // namespace sluice::policy
