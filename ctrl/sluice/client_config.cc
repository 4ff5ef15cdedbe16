#include "ctrl/sluice/client_config.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::client {
namespace {

constexpr const char* kMachinesFile = "/etc/sluice/client.conf";
// Options of the whole program.
constexpr std::array kConnection = {"server", "relay", "tls-cert", "tls-key", "tls-ca", "tls-name"};
// Verbs whose -o is a form of output.
constexpr std::array kPrinting = {"explain", "get", "observe", "status", "top"};

std::string UsersFile() {
  const char* const config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config == '/') return std::string(config) + "/sluice/config";
  const char* const home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? std::string(home) + "/.config/sluice/config" : "";
}

// False: the option does not accept the value.
bool SetDefault(CLI::App& app, const std::string& option, const std::string& value) {
  CLI::Option* const found = app.get_option_no_throw("--" + option);
  if (found == nullptr) return false;
  try {
    found->run_callback_for_default()->default_val(value);
  } catch (const CLI::Error&) {
    return false;
  }
  return true;
}

// For the verbs that have this form. False: none has it.
bool SetOutput(CLI::App& app, const std::string& form) {
  bool taken = false;
  for (const char* const verb : kPrinting) taken = SetDefault(*app.get_subcommand(verb), "output", form) || taken;
  return taken;
}

bool IsConnection(const std::string& name) {
  return std::find(kConnection.begin(), kConnection.end(), name) != kConnection.end();
}

}  // namespace

Status ReadClientConfigFile(const std::string& path, CLI::App& app, CommandLine& line) {
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return OkStatus();
  std::ifstream file(path);
  if (!file) return InvalidError("{}: it cannot be read", path);
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigBase().from_config(file);
  } catch (const CLI::Error& wrong) {
    return InvalidError("{}: {}", path, wrong.what());
  }
  for (const CLI::ConfigItem& item : items) {
    const bool is_known = IsConnection(item.name) || item.name == "output" || item.name == "namespace";
    if (!item.parents.empty() || !is_known) {
      return InvalidError(
          "{}: {}: unknown setting; known are server, relay, output, namespace, tls-cert, tls-key, tls-ca and tls-name",
          path, item.fullname());
    }
    const std::string value = item.inputs.size() == 1 ? item.inputs.front() : "";
    if (value.empty()) return InvalidError("{}: {}: expected one value", path, item.name);
    if (item.name == "namespace") {
      line.ns = value;
    } else if (!(IsConnection(item.name) ? SetDefault(app, item.name, value) : SetOutput(app, value))) {
      return InvalidError("{}: {}: no verb takes {}", path, item.name, value);
    }
  }
  return OkStatus();
}

Status ReadClientConfig(CLI::App& app, CommandLine& line) {
  SL_RETURN_IF_ERROR(ReadClientConfigFile(kMachinesFile, app, line));
  return ReadClientConfigFile(UsersFile(), app, line);
}

}  // namespace sluice::client
