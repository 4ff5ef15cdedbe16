#include "policy/parser.h"

#include <algorithm>
#include <array>

#include "policy/resource_emit.h"
#include "policy/resource_kinds.h"
#include "policy/resource_scalar.h"
#include "policy/yaml.h"

namespace sluice::policy {
namespace {

constexpr std::array kKinds = {Kind::kNamespace, Kind::kPod, Kind::kNetworkPolicy, Kind::kWorkload,
                               Kind::kSluiceNetworkPolicy};

std::string SupportedKinds() {
  std::string text = "v1 List";
  for (const Kind kind : kKinds) text += fmt::format(", {} {}", KindApiVersion(kind), KindName(kind));
  return text;
}

struct TypeMeta {
  std::string api_version;
  std::string kind;
  bool IsList() const { return api_version == "v1" && kind == "List"; }
};

StatusOr<TypeMeta> ParseTypeMeta(const Field& root) {
  SL_RETURN_IF_ERROR(root.CheckMap());
  const auto api_version = root.Get("apiVersion");
  if (!api_version) return root.Missing("apiVersion");
  const auto kind = root.Get("kind");
  if (!kind) return root.Missing("kind");
  TypeMeta type;
  SL_ASSIGN_OR_RETURN(type.api_version, api_version->String());
  SL_ASSIGN_OR_RETURN(type.kind, kind->String());
  return type;
}

StatusOr<Kind> FindKind(const Field& root, const TypeMeta& type) {
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](Kind candidate) {
    return type.api_version == KindApiVersion(candidate) && type.kind == KindName(candidate);
  });
  if (kind != kKinds.end()) return *kind;
  return root.Get("kind")->Error(fmt::format("apiVersion {} has no kind {} here; known are {}",
                                             Quoted(type.api_version), Quoted(type.kind), SupportedKinds()));
}

// The object's name for errors, as far as it can be read before anything is checked.
std::string Subject(Kind kind, const YamlNode& root, const std::string& fallback) {
  const YamlNode* metadata = root.Find("metadata");
  const YamlNode* name = metadata == nullptr ? nullptr : metadata->Find("name");
  if (name == nullptr || name->scalar.empty()) return fmt::format("{} ({})", KindName(kind), fallback);
  const YamlNode* ns = metadata->Find("namespace");
  const bool named_ns = ns != nullptr && !ns->scalar.empty();
  ResourceId id{.kind = kind, .name = {.ns = named_ns ? ns->scalar : "default", .name = name->scalar}};
  if (kind == Kind::kNamespace) id.name.ns.clear();
  return id.ToString();
}

Status ParseBody(const Field& root, const Metadata& metadata, Resource& resource) {
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
  }
  return OkStatus();
}

class Collector {
 public:
  explicit Collector(std::string_view origin) : origin_(origin) {}

  // `where`: "document 2", or with the index in a List.
  Status Add(const YamlNode& node, const std::string& where) {
    Document document{.origin = origin_, .subject = where};
    const Field root(document, node);
    SL_ASSIGN_OR_RETURN(const TypeMeta type, ParseTypeMeta(root));
    if (type.IsList()) return AddList(root, where);
    Resource resource;
    SL_ASSIGN_OR_RETURN(resource.id.kind, FindKind(root, type));
    document.subject = Subject(resource.id.kind, node, where);
    SL_ASSIGN_OR_RETURN(const Metadata metadata, ParseMetadata(root, resource.id.kind));
    resource.id.name = metadata.name;
    SL_RETURN_IF_ERROR(ParseBody(root, metadata, resource));
    const auto [first, added] = lines_.emplace(resource.id, root.line());
    if (!added) return root.Error(fmt::format("defined twice: the first definition is on line {}", first->second));
    resource.yaml = EmitYaml(node);
    resources_.push_back(std::move(resource));
    return OkStatus();
  }

  std::vector<Resource> Take() { return std::move(resources_); }

 private:
  Status AddList(const Field& list, const std::string& where) {
    SL_RETURN_IF_ERROR(list.AllowOnly({"apiVersion", "kind", "metadata", "items"}));
    const auto items = list.Get("items");
    if (!items) return OkStatus();
    SL_RETURN_IF_ERROR(items->CheckSequence());
    for (std::size_t i = 0; i < items->node().items.size(); ++i) {
      SL_RETURN_IF_ERROR(Add(*items->node().items[i], fmt::format("{} items[{}]", where, i)));
    }
    return OkStatus();
  }

  std::string_view origin_;
  std::vector<Resource> resources_;
  std::map<ResourceId, int> lines_;
};

}  // namespace

StatusOr<std::vector<Resource>> ParseResources(std::string_view origin, std::string_view text) {
  if (text.size() > kMaxResourceBytes) {
    return InvalidError("{}: {} bytes: at most {} are read, split the file", origin, text.size(), kMaxResourceBytes);
  }
  Collector collector(origin);
  SL_RETURN_IF_ERROR(ParseYaml(origin, text, [&](const YamlNode& root, int number) {
    return collector.Add(root, fmt::format("document {}", number));
  }));
  return collector.Take();
}

}  // namespace sluice::policy
