#include "ctrl/cni/conf_list.h"

#include <algorithm>

namespace sluice::cni {
namespace {

constexpr int kIndent = 2;
// Main plugins whose interfaces have no veth.
constexpr const char* kWithoutVeth[] = {
    "macvlan", "ipvlan", "sriov", "ib-sriov", "ib-sriov-cni", "host-device", "accelerated-bridge",
    "vlan",    "tap",    "dummy"};

std::string Member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool IsOurs(const Json& plugin) { return plugin.is_object() && Member(plugin, "type") == kPluginType; }

StatusOr<Json> ParseConfig(const std::string& file, const std::string& text) {
  Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) return InvalidError("{} is no JSON object", file);
  if (Member(config, "name").empty()) return InvalidError("{}: name: the network has none", file);
  return config;
}

StatusOr<Json> ParseList(const std::string& file, const std::string& text) {
  SL_ASSIGN_OR_RETURN(Json config, ParseConfig(file, text));
  const auto plugins = config.find("plugins");
  if (plugins == config.end() || !plugins->is_array() || plugins->empty()) {
    return InvalidError("{}: plugins: a list with at least one is expected", file);
  }
  for (const Json& plugin : *plugins) {
    if (!plugin.is_object() || Member(plugin, "type").empty()) {
      return InvalidError("{}: plugins: each needs a type", file);
    }
  }
  return config;
}

Status CheckFits(const std::string& file, const Json& list) {
  const std::string version = list.contains("cniVersion") ? Member(list, "cniVersion") : "0.1.0";
  if (!IsSupported(version)) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "{}: cniVersion {}: sluice-cni knows 0.3.1, 0.4.0, 1.0.0 and 1.1.0, and the network would fail "
                     "with it; raise cniVersion first",
                     file, version);
  }
  const std::string main = Member(list["plugins"].front(), "type");
  if (main == kPluginType) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "{}: sluice-cni stands first, where a plugin belongs that "
                     "makes the interface",
                     file);
  }
  if (std::find(std::begin(kWithoutVeth), std::end(kWithoutVeth), main) != std::end(kWithoutVeth)) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "{}: its main plugin {} makes no veth, where Sluice enforces: every pod would be refused", file,
                     main);
  }
  return OkStatus();
}

ConfList Describe(const Json& list) {
  ConfList described{.name = Member(list, "name")};
  for (const Json& plugin : list["plugins"]) {
    if (!IsOurs(plugin)) continue;
    described.has_entry = true;
    described.made_from = Member(plugin, kMadeFrom);
  }
  return described;
}

// Exactly one entry of ours.
void PutEntry(Json& list, const Json& entry) {
  Json plugins = Json::array();
  bool put = false;
  for (const Json& plugin : list["plugins"]) {
    if (!IsOurs(plugin)) {
      plugins.push_back(plugin);
    } else if (!put) {
      plugins.push_back(entry);
      put = true;
    }
  }
  if (!put) plugins.push_back(entry);
  list["plugins"] = std::move(plugins);
}

std::string TextOf(const Json& list) { return list.dump(kIndent) + "\n"; }

}  // namespace

StatusOr<ConfList> WithEntry(const std::string& file, const std::string& text, const Json& entry) {
  SL_ASSIGN_OR_RETURN(Json list, ParseList(file, text));
  SL_RETURN_IF_ERROR(CheckFits(file, list));
  ConfList edited = Describe(list);
  const Json before = list;
  Json wanted = entry;
  // Where that came from is still to be restored.
  if (!edited.made_from.empty()) wanted[kMadeFrom] = edited.made_from;
  PutEntry(list, wanted);
  edited.changed = list != before;
  edited.text = edited.changed ? TextOf(list) : text;
  return edited;
}

StatusOr<ConfList> ListWithEntry(const std::string& file, const std::string& text, const Json& entry) {
  SL_ASSIGN_OR_RETURN(Json config, ParseConfig(file, text));
  if (Member(config, "type").empty()) return InvalidError("{}: type: a plugin's is expected", file);
  Json list = {{"cniVersion", "0.1.0"}, {"name", config["name"]}};
  list["cniVersion"] = config.contains("cniVersion") ? config["cniVersion"] : Json("0.1.0");
  list["plugins"] = Json::array({std::move(config)});
  SL_RETURN_IF_ERROR(CheckFits(file, list));
  PutEntry(list, entry);
  return ConfList{.name = Member(list, "name"), .text = TextOf(list), .changed = true};
}

StatusOr<ConfList> WithoutEntry(const std::string& file, const std::string& text) {
  SL_ASSIGN_OR_RETURN(Json list, ParseList(file, text));
  ConfList edited = Describe(list);
  edited.text = text;
  if (!edited.has_entry) return edited;
  Json plugins = Json::array();
  for (const Json& plugin : list["plugins"]) {
    if (!IsOurs(plugin)) plugins.push_back(plugin);
  }
  if (plugins.empty()) return InvalidError("{}: nothing would be left but an empty list: remove the file", file);
  list["plugins"] = std::move(plugins);
  edited.text = TextOf(list);
  edited.changed = true;
  return edited;
}

StatusOr<ConfList> ForDropIn(const std::string& file, const std::string& text) {
  SL_ASSIGN_OR_RETURN(const Json list, ParseList(file, text));
  SL_RETURN_IF_ERROR(CheckFits(file, list));
  if (const auto only = list.find("loadOnlyInlinedPlugins"); only != list.end() && *only == true) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "{}: loadOnlyInlinedPlugins is true, so runtimes ignore drop-ins: install without --drop-in",
                     file);
  }
  ConfList described = Describe(list);
  if (described.name.find('/') != std::string::npos || described.name == "." || described.name == "..") {
    return InvalidError("{}: name: {} cannot be a directory", file, described.name);
  }
  described.text = text;
  return described;
}

bool IsOwnConfig(const std::string& text) {
  const Json config = Json::parse(text, nullptr, false);
  return config.is_object() && IsOurs(config);
}

}  // namespace sluice::cni
