#include "ctrl/cni/call.h"

#include <algorithm>
#include <charconv>
#include <tuple>

namespace sluice::cni {
namespace {

constexpr int kMaxTimeoutSeconds = 600;

constexpr struct {
  Call::Kind kind;
  const char* name;
  int major, minor;  // the first version of the specification that has it
} kKinds[] = {{Call::Kind::kAdd, "ADD", 0, 3},       {Call::Kind::kDel, "DEL", 0, 3},
              {Call::Kind::kCheck, "CHECK", 0, 4},   {Call::Kind::kGc, "GC", 1, 1},
              {Call::Kind::kStatus, "STATUS", 1, 1}, {Call::Kind::kVersion, "VERSION", 0, 0}};

Answer Error(int code, std::string message, std::string details = "") {
  return {.code = code, .message = std::move(message), .details = std::move(details)};
}

std::string TextAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string SupportedText() {
  std::string text;
  for (const char* version : kSupportedVersions) text += (text.empty() ? "" : ", ") + std::string(version);
  return text;
}

// Which variables a command needs.
Answer ReadEnvironment(const std::map<std::string, std::string>& environment, Call& call) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  call.attachment = {value("CNI_CONTAINERID"), value("CNI_IFNAME")};
  call.netns = value("CNI_NETNS");
  const bool is_add = call.kind == Call::Kind::kAdd || call.kind == Call::Kind::kCheck;
  if (!is_add && call.kind != Call::Kind::kDel) return {};
  std::string missing;
  const auto need = [&](const char* name, const std::string& text) {
    if (text.empty()) missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  need("CNI_CONTAINERID", call.attachment.container_id);
  need("CNI_IFNAME", call.attachment.ifname);
  if (is_add) need("CNI_NETNS", call.netns);
  if (!missing.empty()) {
    return Error(kBadEnvironment, "not set in the environment: " + missing,
                 "the container runtime sets them; see CNI's specification, section 2");
  }
  if (!IsContainerId(call.attachment.container_id)) {
    return Error(kBadEnvironment, "CNI_CONTAINERID: not an id as CNI has them",
                 "letters, digits, '_', '.' and '-', the first a letter or a digit");
  }
  if (!IsInterfaceName(call.attachment.ifname)) {
    return Error(kBadEnvironment, "CNI_IFNAME: not the name of an interface",
                 "1 to 15 characters without spaces, '/' and ':'");
  }
  const std::string args = value("CNI_ARGS");
  for (std::size_t begin = 0; begin < args.size();) {
    const std::size_t end = std::min(args.find(';', begin), args.size());
    const std::string pair = args.substr(begin, end - begin);
    const std::size_t equals = pair.find('=');
    if (equals != std::string::npos && equals > 0) {
      call.args[pair.substr(0, equals)] = pair.substr(equals + 1);
    } else if (!pair.empty() && is_add) {
      return Error(kBadEnvironment, "CNI_ARGS: \"" + pair + "\" is no KEY=VALUE");
    }
    begin = end + 1;
  }
  if (call.kind != Call::Kind::kAdd) return {};
  need("K8S_POD_NAMESPACE", call.Arg("K8S_POD_NAMESPACE"));
  need("K8S_POD_NAME", call.Arg("K8S_POD_NAME"));
  if (missing.empty()) return {};
  return Error(kBadEnvironment, "not in CNI_ARGS: " + missing,
               "sluice-cni is for the pods of Kubernetes, whose runtimes (containerd, CRI-O) set this; take it out of "
               "network configurations that other programs use");
}

Answer ReadVersion(const Json& config, Call& call) {
  const std::string version = config.contains("cniVersion") ? TextAt(config, "cniVersion") : "0.1.0";
  if (!IsSupported(version)) {
    return Error(
        kIncompatibleVersion, "cniVersion \"" + version + "\" is not supported",
        "sluice-cni knows " + SupportedText() + "; set cniVersion of the network configuration to one of them");
  }
  call.version = version;
  for (const auto& one : kKinds) {
    if (one.kind == call.kind && !call.NewerThan(one.major, one.minor)) {
      return Error(kIncompatibleVersion, std::string(one.name) + " does not exist in cniVersion " + version,
                   fmt::format("it needs {}.{}.0 or newer", one.major, one.minor));
    }
  }
  return {};
}

Answer WrongKey(const char* key, const char* expected) {
  return Error(kBadConfig, std::string(key) + ": " + expected + " is expected",
               "in the entry of type sluice-cni of the network configuration");
}

Answer ReadPath(const Json& config, const char* key, std::string& path) {
  if (!config.contains(key)) return {};
  const std::string text = TextAt(config, key);
  if (text.empty() || text.front() != '/') return WrongKey(key, "an absolute path");
  path = text;
  return {};
}

Answer ReadOwnKeys(const Json& config, Call& call) {
  for (const auto& [key, path] :
       {std::pair{"socket", &call.socket}, std::pair{"log", &call.log}, std::pair{"directory", &call.directory}}) {
    if (Answer error = ReadPath(config, key, *path); error.code != kOk) return error;
  }
  constexpr std::size_t kMaxSocketPath = 107;
  if (call.socket.size() > kMaxSocketPath) return WrongKey("socket", "a path of at most 107 bytes");
  if (const auto timeout = config.find("timeout"); timeout != config.end()) {
    const double seconds = timeout->is_number() ? timeout->get<double>() : 0;
    if (!(seconds >= 0.1 && seconds <= kMaxTimeoutSeconds)) {
      return WrongKey("timeout", "a number of seconds from 0.1 to 600");
    }
    call.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  }
  if (config.contains("whenAgentAway")) {
    const std::string what = TextAt(config, "whenAgentAway");
    if (what != "fail" && what != "closed") return WrongKey("whenAgentAway", "\"fail\" or \"closed\"");
    call.closed_when_away = what == "closed";
  }
  return {};
}

Answer ReadValid(const Json& config, Call& call) {
  constexpr const char* kKey = "cni.dev/valid-attachments";
  const auto valid = config.find(kKey);
  if (valid == config.end() || !valid->is_array()) {
    return Error(kBadConfig, std::string(kKey) + ": a list is expected",
                 "without it GC cannot know what is still there, and removes nothing");
  }
  for (const Json& one : *valid) {
    if (!one.is_object()) return Error(kBadConfig, std::string(kKey) + ": a list of objects is expected");
    Attachment attachment{TextAt(one, "containerID"), TextAt(one, "ifname")};
    if (!IsContainerId(attachment.container_id) || !IsInterfaceName(attachment.ifname)) {
      return Error(kBadConfig, std::string(kKey) + ": containerID and ifname are expected in each");
    }
    call.valid.push_back(std::move(attachment));
  }
  return {};
}

}  // namespace

bool IsSupported(const std::string& version) {
  return std::find(std::begin(kSupportedVersions), std::end(kSupportedVersions), version) !=
         std::end(kSupportedVersions);
}

std::string CallName(Call::Kind kind) {
  for (const auto& one : kKinds) {
    if (one.kind == kind) return one.name;
  }
  return "?";
}

std::string Call::Arg(const std::string& key) const {
  const auto found = args.find(key);
  return found == args.end() ? "" : found->second;
}

bool Call::NewerThan(int major, int minor) const {
  int own_major = 0, own_minor = 0;
  const char* const end = version.data() + version.size();
  const auto dot = std::from_chars(version.data(), end, own_major).ptr;
  if (dot != end) std::from_chars(dot + 1, end, own_minor);
  return std::tie(own_major, own_minor) >= std::tie(major, minor);
}

Answer ReadCall(const std::map<std::string, std::string>& environment, const std::string& text, Call& call) {
  const auto command = environment.find("CNI_COMMAND");
  const std::string name = command == environment.end() ? "" : command->second;
  const auto* const known =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const auto& one) { return one.name == name; });
  if (known == std::end(kKinds)) {
    return Error(kBadEnvironment, "CNI_COMMAND: \"" + name + "\" is not known",
                 "ADD, DEL, CHECK, GC, STATUS or VERSION");
  }
  call.kind = known->kind;
  const Json config = Json::parse(text, nullptr, false);
  if (call.kind == Call::Kind::kVersion) {
    if (config.is_object() && IsSupported(TextAt(config, "cniVersion"))) call.version = TextAt(config, "cniVersion");
    return {};
  }
  if (Answer error = ReadEnvironment(environment, call); error.code != kOk) return error;
  if (!config.is_object()) {
    return Error(kNotDecoded, fmt::format("standard input has {} bytes, which are no JSON object", text.size()),
                 "the network configuration is expected there");
  }
  if (Answer error = ReadVersion(config, call); error.code != kOk) return error;
  const bool is_del = call.kind == Call::Kind::kDel;
  call.network = TextAt(config, "name");
  if (call.network.empty() && !is_del) return Error(kBadConfig, "name: the network configuration has none");
  if (Answer error = ReadOwnKeys(config, call); error.code != kOk && !is_del) return error;
  if (call.kind == Call::Kind::kGc) return ReadValid(config, call);
  if (const auto result = config.find("prevResult"); result != config.end()) {
    if (!result->is_object() && !result->is_null() && !is_del) {
      return Error(kBadConfig, "prevResult: an object is expected");
    }
    call.prev_result = *result;
  }
  if (call.prev_result.is_object() || call.kind == Call::Kind::kStatus || is_del) return {};
  return Error(kBadConfig, "there is no prevResult",
               "sluice-cni makes no interface itself: put its entry behind that of the plugin that does "
               "(`sluice-cni install` does so)");
}

}  // namespace sluice::cni
