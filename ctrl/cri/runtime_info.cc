#include "ctrl/cri/runtime_info.h"

#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

namespace sluice::cri {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSlice = ".slice";

// The value at the end of the keys; null: there is none, or it is null.
const Json* FindJson(const Json& json, std::initializer_list<const char*> keys) {
  const Json* value = &json;
  for (const char* key : keys) {
    const auto found = value->find(key);  // the end for what is no object
    if (found == value->end()) return nullptr;
    value = &*found;
  }
  return value->is_null() ? nullptr : value;
}

Status ReadString(const Json& json, std::initializer_list<const char*> keys, std::string* to) {
  const Json* value = FindJson(json, keys);
  if (value == nullptr) return OkStatus();
  if (!value->is_string()) return InvalidError("{} is no string", *(keys.end() - 1));
  *to = value->get<std::string>();
  return OkStatus();
}

Status ReadNetNs(const Json& json, std::string* netns) {
  const Json* namespaces = FindJson(json, {"runtimeSpec", "linux", "namespaces"});
  if (namespaces != nullptr && !namespaces->is_array()) return InvalidError("namespaces is no array");
  for (const Json& entry : namespaces != nullptr ? *namespaces : Json::array()) {
    std::string type;
    SL_RETURN_IF_ERROR(ReadString(entry, {"type"}, &type));
    if (type == "network") return ReadString(entry, {"path"}, netns);
  }
  return OkStatus();
}

// containerd leaves out what is false.
Status ReadPrivileged(const Json& json, std::optional<bool>* privileged) {
  const Json* value = FindJson(json, {"privileged"});  // CRI-O's
  if (const Json* config = FindJson(json, {"config"}); value == nullptr && config != nullptr && config->is_object()) {
    *privileged = false;
    value = FindJson(*config, {"linux", "security_context", "privileged"});
  }
  if (value == nullptr) return OkStatus();
  if (!value->is_boolean()) return InvalidError("privileged is no boolean");
  *privileged = value->get<bool>();
  return OkStatus();
}

// "a-b.slice" -> "/a.slice/a-b.slice"; a path before it is left out, as its own name says where it is.
std::string SlicePath(std::string slice) {
  slice = slice.substr(slice.rfind('/') + 1);
  if (slice == "-.slice") return "";
  const std::string stem = slice.substr(0, slice.size() - kSlice.size());
  std::string path;
  for (std::size_t dash = 0; dash != std::string::npos;) {
    dash = stem.find('-', dash + 1);
    path.append("/").append(stem, 0, dash).append(kSlice);
  }
  return path;
}

}  // namespace

std::string CgroupPath(const std::string& cgroups_path) {
  const std::size_t prefix = cgroups_path.find(':');
  const std::size_t name = prefix == std::string::npos ? prefix : cgroups_path.find(':', prefix + 1);
  if (name != std::string::npos) {
    const std::string slice = cgroups_path.substr(0, prefix);
    const std::string parent = slice.empty()             ? "/system.slice"
                               : slice.ends_with(kSlice) ? SlicePath(slice)
                                                         : "/" + slice;
    const std::string before = cgroups_path.substr(prefix + 1, name - prefix - 1);
    const std::string unit = cgroups_path.substr(name + 1);
    return parent + "/" + (before.empty() ? unit : before + "-" + unit) + (unit.ends_with(kSlice) ? "" : ".scope");
  }
  if (cgroups_path.ends_with(kSlice)) return SlicePath(cgroups_path);
  return cgroups_path.empty() || cgroups_path.starts_with('/') ? cgroups_path : "/" + cgroups_path;
}

StatusOr<RuntimeInfo> ParseRuntimeInfo(const std::string& json) {
  const Json parsed = Json::parse(json, nullptr, false);
  if (!parsed.is_object()) return InvalidError("info is no JSON object");
  RuntimeInfo info;
  SL_RETURN_IF_ERROR(ReadNetNs(parsed, &info.netns));
  // containerd names it here too, and here alone where another program runs the sandbox.
  if (info.netns.empty())
    SL_RETURN_IF_ERROR(ReadString(parsed, {"sandboxMetadata", "Metadata", "NetNSPath"}, &info.netns));
  if (const Json* pid = FindJson(parsed, {"pid"})) {
    // A negative number is below 2^63 as an unsigned one is not, and so above the limit as well.
    if (!pid->is_number_integer() || pid->get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max()) {
      return InvalidError("pid is no process id");
    }
    info.pid = pid->get<std::uint32_t>();
  }
  if (const Json* closed = FindJson(parsed, {"netNamespaceClosed"})) {
    if (!closed->is_boolean()) return InvalidError("netNamespaceClosed is no boolean");
    info.netns_closed = closed->get<bool>();
  }
  SL_RETURN_IF_ERROR(ReadPrivileged(parsed, &info.privileged));
  SL_RETURN_IF_ERROR(ReadString(parsed, {"config", "image", "image"}, &info.image));
  std::string cgroup;
  SL_RETURN_IF_ERROR(ReadString(parsed, {"runtimeSpec", "linux", "cgroupsPath"}, &cgroup));
  info.cgroup = CgroupPath(cgroup);
  info.pod_cgroup = info.cgroup.substr(0, info.cgroup.empty() ? 0 : info.cgroup.rfind('/'));
  if (info.pod_cgroup.empty()) {
    std::string parent;
    SL_RETURN_IF_ERROR(ReadString(parsed, {"config", "linux", "cgroup_parent"}, &parent));
    info.pod_cgroup = CgroupPath(parent);
  }
  return info;
}

}  // namespace sluice::cri
