#include "ctrl/kube/objects.h"

#include <algorithm>

#include "ctrl/kube/json_tree.h"
#include "policy/resource/resource_emit.h"
#include "policy/resource/resource_kinds.h"

namespace sluice::kube {
namespace {

using policy::Kind;
using policy::YamlNode;

constexpr std::size_t kMaxProblemsShown = 5;

// Calls `visit` for each item of the list `key`. No such list: nothing.
template <typename Visit>
void ForEachItemOf(const JsonElement& object, std::string_view key, Visit visit) {
  const auto list = FieldOf(object, key);
  if (!list || !list->is_array()) return;
  const simdjson::dom::array items = list->get_array().value_unsafe();
  for (const JsonElement item : items) visit(item);
}

bool IsTrue(const JsonElement& object, std::string_view key) {
  bool value = false;
  return object.at_key(key).get(value) == simdjson::SUCCESS && value;
}

void ReadContainers(const JsonElement& status, std::string_view key, KubePod& pod) {
  ForEachItemOf(status, key, [&](const JsonElement& item) {
    const std::string_view id = StringOf(item, "containerID");
    const std::size_t scheme = id.find("://");
    const auto state = FieldOf(item, "state");
    const auto running = state ? FieldOf(*state, "running") : std::nullopt;
    pod.containers.push_back({.name = std::string(StringOf(item, "name")),
                              .id = std::string(scheme == std::string_view::npos ? id : id.substr(scheme + 3)),
                              .running = running && !running->is_null()});
  });
}

KubePod ReadPod(const JsonElement& object) {
  KubePod pod;
  if (const auto metadata = FieldOf(object, "metadata")) {
    pod.deleting = !StringOf(*metadata, "deletionTimestamp").empty();
  }
  if (const auto spec = FieldOf(object, "spec")) pod.node = StringOf(*spec, "nodeName");
  if (const auto status = FieldOf(object, "status")) {
    pod.phase = StringOf(*status, "phase");
    for (const char* key : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"}) {
      ReadContainers(*status, key, pod);
    }
  }
  bool is_running = false;
  for (const KubePod::Container& container : pod.containers) is_running = is_running || container.running;
  pod.gave_up_ips = pod.phase == "Succeeded" || pod.phase == "Failed" || (pod.deleting && !is_running);
  return pod;
}

// False: a value is nested too deep. Likewise below.
bool CopyContainers(const JsonElement& spec, std::string_view key, YamlNode& to) {
  const Tree containers = NewSequence();
  bool fits = true;
  ForEachItemOf(spec, key, [&](const JsonElement& item) {
    const Tree container = NewMap();
    fits = fits && CopyField(item, "restartPolicy", *container) && CopyField(item, "ports", *container);
    // One without ports and policy says nothing, but its neighbours' places in the list are in errors.
    containers->items.push_back(container);
  });
  bool has_any = false;
  for (const auto& item : containers->items) has_any = has_any || !item->entries.empty();
  if (has_any) AddTo(to, key, containers);
  return fits;
}

bool CopyPod(const JsonElement& object, bool with_ips, YamlNode& root) {
  if (const auto spec = FieldOf(object, "spec")) {
    const Tree copy = NewMap();
    if (!CopyField(*spec, "nodeName", *copy) || !CopyField(*spec, "hostNetwork", *copy) ||
        !CopyContainers(*spec, "containers", *copy) || !CopyContainers(*spec, "initContainers", *copy)) {
      return false;
    }
    AddTo(root, "spec", copy);
  }
  if (const auto status = FieldOf(object, "status")) {
    const Tree copy = NewMap();
    if (!StringOf(*status, "phase").empty() && !CopyField(*status, "phase", *copy)) return false;
    if (with_ips && !StringOf(*status, "podIP").empty() && !CopyField(*status, "podIP", *copy)) return false;
    if (with_ips && !CopyField(*status, "podIPs", *copy)) return false;
    AddTo(root, "status", copy);
  }
  return true;
}

// The one that is the pod's controller.
bool CopyController(const JsonElement& metadata, YamlNode& to) {
  const Tree list = NewSequence();
  bool fits = true;
  ForEachItemOf(metadata, "ownerReferences", [&](const JsonElement& owner) {
    if (!IsTrue(owner, "controller")) return;
    const Tree copy = NewMap();
    for (const char* key : {"apiVersion", "kind", "name", "controller"}) fits = fits && CopyField(owner, key, *copy);
    list->items.push_back(copy);
  });
  if (!list->items.empty()) AddTo(to, "ownerReferences", list);
  return fits;
}

// Another value means the default, as in KubeArmor: the namespace must not be lost for it.
void CopyPostures(const JsonElement& annotations, YamlNode& to) {
  for (const char* name : policy::kPostureAnnotations) {
    const std::string_view posture = StringOf(annotations, name);
    if (posture == "audit" || posture == "block") AddTo(to, name, NewString(posture));
  }
}

// The document with the fields that the parsers read. Null: it is nested too deep.
Tree CopyObject(Kind kind, const JsonElement& object, const std::optional<KubePod>& pod) {
  Tree root = NewMap();
  AddTo(*root, "apiVersion", NewString(policy::KindApiVersion(kind)));
  AddTo(*root, "kind", NewString(policy::KindName(kind)));
  if (const auto metadata = FieldOf(object, "metadata")) {
    const Tree copy = NewMap();
    for (const char* key : {"name", "namespace", "uid", "labels"}) {
      if (!CopyField(*metadata, key, *copy)) return nullptr;
    }
    if (const auto annotations = FieldOf(*metadata, "annotations")) {
      const Tree kept = NewMap();
      if (FieldOf(*annotations, policy::kConfigHashAnnotation) &&
          !CopyField(*annotations, policy::kConfigHashAnnotation, *kept)) {
        return nullptr;
      }
      if (kind == Kind::kNamespace) CopyPostures(*annotations, *kept);
      if (!kept->entries.empty()) AddTo(*copy, "annotations", kept);
    }
    if (pod && !CopyController(*metadata, *copy)) return nullptr;
    AddTo(*root, "metadata", copy);
  }
  const bool is_policy = kind != Kind::kNamespace && kind != Kind::kPod;
  if (is_policy && !CopyField(object, "spec", *root)) return nullptr;
  if (pod) {
    const bool is_finished = pod->phase == "Succeeded" || pod->phase == "Failed";
    if (!CopyPod(object, !pod->gave_up_ips || is_finished, *root)) return nullptr;
  }
  return root;
}

Status ParseRoot(const policy::Field& root, const std::vector<policy::KindParser>& more, policy::Resource& resource) {
  SL_ASSIGN_OR_RETURN(const policy::Metadata metadata, policy::ParseMetadata(root, resource.id.kind));
  resource.id.name = metadata.name;
  for (const policy::KindParser& parser : more) {
    if (parser.kind == resource.id.kind) return parser.parse(root, metadata.name, resource);
  }
  switch (resource.id.kind) {
    case Kind::kNamespace: {
      SL_ASSIGN_OR_RETURN(resource.ns, policy::ParseNamespace(root, metadata));
      break;
    }
    case Kind::kPod: {
      SL_ASSIGN_OR_RETURN(resource.pod, policy::ParsePod(root, metadata));
      break;
    }
    case Kind::kNetworkPolicy: {
      SL_ASSIGN_OR_RETURN(resource.policy,
                          policy::ParseNetworkPolicy(root, metadata, policy::NetworkPolicy::Api::kKubernetes));
      break;
    }
    case Kind::kSluiceNetworkPolicy: {
      SL_ASSIGN_OR_RETURN(resource.policy,
                          policy::ParseNetworkPolicy(root, metadata, policy::NetworkPolicy::Api::kSluice));
      break;
    }
    case Kind::kSluiceClusterNetworkPolicy: {
      SL_ASSIGN_OR_RETURN(resource.policy,
                          policy::ParseNetworkPolicy(root, metadata, policy::NetworkPolicy::Api::kSluiceCluster));
      break;
    }
    case Kind::kWorkload:
      return InvalidError("a Workload is no object of the API server");
    case Kind::kTracingPolicy:
    case Kind::kTracingPolicyNamespaced:
    case Kind::kResponse:
    case Kind::kKubeArmorPolicy:
    case Kind::kKubeArmorHostPolicy:
    case Kind::kKubeArmorClusterPolicy:
      return InvalidError("{}: this reader does not know the kind", policy::KindName(resource.id.kind));
  }
  return OkStatus();
}

Status ErrorOf(const policy::Document& document, const Status& status) {
  std::string text;
  std::size_t shown = 0;
  for (const policy::Problem& problem : document.problems) {
    if (shown == kMaxProblemsShown) break;
    text += fmt::format("{}{}: {}", shown++ == 0 ? "" : "\n", problem.subject, problem.what);
  }
  if (text.empty()) return status;
  if (shown < document.problems.size()) text += fmt::format("\n{} more", document.problems.size() - shown);
  return InvalidError("{}", text);
}

}  // namespace

std::optional<KubeCondition> ReadCondition(const JsonElement& object, std::string_view type) {
  std::optional<KubeCondition> found;
  const auto status = FieldOf(object, "status");
  if (!status) return found;
  ForEachItemOf(*status, "conditions", [&](const JsonElement& item) {
    if (StringOf(item, "type") != type) return;
    found = KubeCondition{.status = std::string(StringOf(item, "status")),
                          .reason = std::string(StringOf(item, "reason")),
                          .message = std::string(StringOf(item, "message")),
                          .since = std::string(StringOf(item, "lastTransitionTime"))};
    std::int64_t number = 0;
    if (item.at_key("observedGeneration").get(number) == simdjson::SUCCESS) found->generation = number;
  });
  return found;
}

StatusOr<std::shared_ptr<const KubeObject>> ConvertObject(Kind kind, const JsonElement& object,
                                                          const std::vector<policy::KindParser>& more) {
  SL_ASSIGN_OR_RETURN(const ObjectMeta meta, ReadMeta(object));
  policy::Document document{.origin = "kubernetes",
                            .subject = fmt::format("{} {}", policy::KindName(kind), meta.key.ToString())};
  document.object = fmt::format("{}/{}", policy::KindName(kind), meta.key.name);
  auto converted = std::make_shared<KubeObject>();
  if (kind == Kind::kPod) converted->pod = ReadPod(object);
  const Tree root = CopyObject(kind, object, converted->pod);
  if (!root) return InvalidError("{}: nested more than {} deep", document.subject, policy::kMaxYamlDepth);
  converted->resource.id.kind = kind;
  const Status parsed = ParseRoot(policy::Field(document, *root), more, converted->resource);
  if (!parsed.ok()) return ErrorOf(document, parsed);
  converted->resource.yaml = policy::EmitYaml(*root);
  return converted;
}

}  // namespace sluice::kube
