// What a container runtime asks the plugin for: environment and configuration, checked.
//   Call call;
//   if (const Answer error = ReadCall(environment, text, call); error.code != kOk) ...
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/cni.h"

namespace sluice::cni {

using Json = nlohmann::ordered_json;

inline constexpr const char* kSupportedVersions[] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};
bool IsSupported(const std::string& version);

struct Call {
  enum class Kind { kAdd, kDel, kCheck, kGc, kStatus, kVersion };
  Kind kind = Kind::kVersion;
  std::string version = "1.1.0";  // of the answer; the configuration's once that is known to be supported

  // Environment.
  Attachment attachment;
  std::string netns;
  std::map<std::string, std::string> args;  // CNI_ARGS

  // Configuration.
  std::string network;
  std::string socket = kDefaultSocket;
  std::chrono::milliseconds timeout{60'000};  // below the kubelet's runtimeRequestTimeout of 2 minutes
  bool closed_when_away = false;
  std::string log;  // empty: none
  std::string directory = kDefaultDirectory;
  Json prev_result;  // null: there is none
  std::vector<Attachment> valid;

  std::string Arg(const std::string& key) const;
  bool NewerThan(int major, int minor) const;  // `version`, or equal
};

// `variable` gives the environment; empty: not set. Fills what it can of `call`, also when it returns an error.
// For DEL, keys of our own that are wrong count as not set, so that a pod can always be deleted.
Answer ReadCall(const std::map<std::string, std::string>& environment, const std::string& config, Call& call);

std::string CallName(Call::Kind kind);

}  // namespace sluice::cni
