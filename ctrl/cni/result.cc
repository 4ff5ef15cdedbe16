#include "ctrl/cni/result.h"

namespace sluice::cni {
namespace {

std::string StringAt(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Calls `visit` for each object of the list.
template <typename Visit>
void ForEachIn(Json& result, const char* key, Visit visit) {
  const auto list = result.find(key);
  if (list == result.end() || !list->is_array()) return;
  for (Json& one : *list) {
    if (one.is_object()) visit(one);
  }
}

}  // namespace

Json ConvertResult(Json result, const std::string& version) {
  const Call as{.version = version};
  if (!as.NewerThan(1, 1)) {
    ForEachIn(result, "interfaces", [](Json& one) {
      for (const char* key : {"mtu", "socketPath", "pciID"}) one.erase(key);
    });
    ForEachIn(result, "routes", [](Json& one) {
      for (const char* key : {"mtu", "advmss", "priority", "table", "scope"}) one.erase(key);
    });
  }
  const bool with_version = !as.NewerThan(1, 0);
  ForEachIn(result, "ips", [&](Json& one) {
    if (!with_version) one.erase("version");
    if (!with_version || one.contains("version")) return;
    one["version"] = StringAt(one, "address").find(':') == std::string::npos ? "4" : "6";
  });
  result["cniVersion"] = version;
  return result;
}

std::vector<std::string> AddressesOf(const Json& result, const std::string& ifname) {
  std::vector<std::string> addresses;
  const auto ips = result.find("ips");
  const auto interfaces = result.find("interfaces");
  if (ips == result.end() || !ips->is_array()) return addresses;
  for (const Json& one : *ips) {
    const std::string address = StringAt(one, "address");
    if (address.empty()) continue;
    const auto index = one.find("interface");
    const bool has_index = index != one.end() && index->is_number_unsigned() && interfaces != result.end() &&
                           interfaces->is_array() && index->get<std::size_t>() < interfaces->size();
    if (has_index) {
      const Json& interface = (*interfaces)[index->get<std::size_t>()];
      // Some plugins name the host end here, so only another interface of the container does not count.
      if (!StringAt(interface, "sandbox").empty() && StringAt(interface, "name") != ifname) continue;
    }
    addresses.push_back(address.substr(0, address.find('/')));
  }
  return addresses;
}

}  // namespace sluice::cni
