#include "tests/unit/cni/net_config.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json ReadJson(const fs::path& path) {
  std::ifstream file(path);
  return json::parse(file, nullptr, false);
}

std::vector<fs::path> Files(const fs::path& directory, const std::vector<std::string>& extensions) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory, error)) {
    const bool fits = std::find(extensions.begin(), extensions.end(), file.path().extension()) != extensions.end();
    if (fits && !file.is_directory()) files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Empty: it is right.
std::string Take(const json& plugin, const std::string& bin_dir, LoadedNetwork& network) {
  if (!plugin.is_object() || !plugin.contains("type") || !plugin["type"].is_string()) return "a plugin without a type";
  network.plugins.push_back(plugin["type"]);
  const std::string binary = bin_dir + "/sluice-cni";
  if (network.plugins.back() == "sluice-cni" && access(binary.c_str(), X_OK) != 0) return binary + " is missing";
  return "";
}

std::string Load(const fs::path& file, const std::string& bin_dir, bool drop_ins, LoadedNetwork& network) {
  const json config = ReadJson(file);
  if (!config.is_object()) return "no JSON object";
  if (!config.contains("name") || !config["name"].is_string()) return "no name";
  network.name = config["name"];
  const bool is_list = file.extension() == ".conflist";
  if (!is_list) return Take(config, bin_dir, network);
  if (!config.contains("plugins") || !config["plugins"].is_array()) return "no plugins";
  for (const json& plugin : config["plugins"]) {
    if (const std::string error = Take(plugin, bin_dir, network); !error.empty()) return error;
  }
  if (drop_ins && config.value("loadOnlyInlinedPlugins", false) == false) {
    for (const fs::path& one : Files(file.parent_path() / network.name, {".conf"})) {
      if (const std::string error = Take(ReadJson(one), bin_dir, network); !error.empty()) return error;
    }
  }
  return network.plugins.empty() ? "no plugins" : "";
}

}  // namespace

LoadedNetwork LoadNetwork(const std::string& conf_dir, const std::string& bin_dir, bool drop_ins) {
  LoadedNetwork network;
  const auto files = Files(conf_dir, {".conf", ".conflist", ".json"});
  if (files.empty()) {
    network.error = "no network configuration";
    return network;
  }
  network.file = files.front().filename();
  network.error = Load(files.front(), bin_dir, drop_ins, network);
  return network;
}

}  // namespace sluice::test
