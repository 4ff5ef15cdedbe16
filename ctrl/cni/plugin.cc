#include "ctrl/cni/plugin.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "base/fd.h"
#include "ctrl/cni/agent_call.h"
#include "ctrl/cni/call.h"
#include "ctrl/cni/pod_interface.h"
#include "ctrl/cni/result.h"
#include "ctrl/cni/spool.h"

namespace sluice::cni {
namespace {

using namespace std::chrono_literals;

constexpr auto kShortPatience = 5s;  // for all but ADD: a runtime holds up other work meanwhile
constexpr off_t kMaxLog = 4 << 20;   // bytes; then it becomes FILE.1

// The outcome of a command: an error, or what to print.
struct Outcome {
  Answer error;
  std::string out;
  std::string note;  // for the log
};

Outcome Failed(int code, std::string message, std::string details = "") {
  return {.error = {.code = code, .message = std::move(message), .details = std::move(details)}, .out = {}, .note = {}};
}
Outcome Failed(Answer answer) { return {.error = std::move(answer), .out = {}, .note = {}}; }

std::string PodName(const Call& call) { return call.Arg("K8S_POD_NAMESPACE") + "/" + call.Arg("K8S_POD_NAME"); }

Request RequestOf(const Call& call, Command command) {
  return {.command = command,
          .network = call.network,
          .attachment = call.attachment,
          .netns = call.netns,
          .pod_namespace = call.Arg("K8S_POD_NAMESPACE"),
          .pod_name = call.Arg("K8S_POD_NAME"),
          .pod_uid = call.Arg("K8S_POD_UID"),
          .sandbox_id = call.Arg("K8S_POD_INFRA_CONTAINER_ID")};
}

StatusOr<Answer> AskShortly(const Call& call, Command command) {
  Request request = RequestOf(call, command);
  request.valid = call.valid;
  return AskAgent(
      {.socket = call.socket, .patience = std::min<std::chrono::milliseconds>(call.timeout, kShortPatience)}, request);
}

std::string AwayText(const Call& call, const Status& why) {
  return fmt::format("the agent of Sluice does not answer at {} ({})", call.socket, Message(why));
}
constexpr const char* kWhatToDo =
    "look at the agent on this node (its pod, or `systemctl status sluice`) and its log; a node that is to do without "
    "Sluice: `sluice-cni uninstall`";

// The interface is closed first: a pod that is reported as added has no open one.
Outcome AddClosed(const Call& call, const Request& request, const std::string& why) {
  if (const Status closed = CloseInterface(request.host_ifindex); !closed.ok()) {
    return Failed(kIoFailure, fmt::format("{}, and the pod could not be closed: {}", why, Message(closed)), kWhatToDo);
  }
  if (const Status left = LeavePending(call.directory, request); !left.ok()) {
    return Failed(kIoFailure, fmt::format("{}, and the pod could not be left for it: {}", why, Message(left)),
                  kWhatToDo);
  }
  return {.error = {},
          .out = ConvertResult(call.prev_result, call.version).dump(2) + "\n",
          .note = fmt::format("{}: {} is closed at {} until the agent is back", why, PodName(call),
                              request.host_interface)};
}

Outcome Add(const Call& call) {
  const auto host_end = FindHostEnd(call.netns, call.attachment.ifname);
  if (absl::IsFailedPrecondition(host_end.status())) {
    return Failed(kInterfaceNotUsable, PodName(call) + ": " + Message(host_end.status()),
                  "Sluice enforces at the host end of a veth; for macvlan, ipvlan, netkit, SR-IOV and host-device "
                  "there is none: take sluice-cni out of this network");
  }
  if (absl::IsNotFound(host_end.status())) return Failed(kBadEnvironment, Message(host_end.status()));
  if (!host_end.ok()) return Failed(kIoFailure, Message(host_end.status()));

  Request request = RequestOf(call, Command::kAdd);
  request.addresses = AddressesOf(call.prev_result, call.attachment.ifname);
  request.host_interface = host_end->name;
  request.host_ifindex = host_end->ifindex;
  Forget(call.directory, kDeletedDirectory, call.attachment);
  Forget(call.directory, kPendingDirectory, call.attachment);
  const auto answer = AskAgent({.socket = call.socket, .patience = call.timeout, .retry = true}, request);
  if (answer.ok() && answer->code == kOk) {
    return {.error = {}, .out = ConvertResult(call.prev_result, call.version).dump(2) + "\n", .note = {}};
  }
  if (answer.ok() && answer->code != kTryAgain) return Failed(*answer);
  const std::string why =
      answer.ok() ? "the agent of Sluice is not ready: " + answer->message : AwayText(call, answer.status());
  if (call.closed_when_away) return AddClosed(call, request, why);
  return Failed(kTryAgain,
                fmt::format("{}; waited {} s: pod {} does not start without it", why,
                            static_cast<double>(call.timeout.count()) / 1000, PodName(call)),
                std::string(kWhatToDo) + "; to have pods start closed meanwhile: \"whenAgentAway\": \"closed\"");
}

Outcome Del(const Call& call) {
  Forget(call.directory, kPendingDirectory, call.attachment);
  const auto answer = AskShortly(call, Command::kDel);
  if (answer.ok() && answer->code == kOk) return {};
  const std::string why = answer.ok() ? answer->message : AwayText(call, answer.status());
  const Status left = LeaveDeleted(call.directory, call.attachment);
  return {.error = {},
          .out = {},
          .note = why + (left.ok() ? "; the deletion is left for it in " + call.directory + "/" + kDeletedDirectory
                                   : "; the deletion could not be left for it: " + Message(left))};
}

Outcome Check(const Call& call) {
  if (const auto host_end = FindHostEnd(call.netns, call.attachment.ifname); !host_end.ok()) {
    return Failed(kInterfaceNotUsable, Message(host_end.status()));
  }
  const auto answer = AskShortly(call, Command::kCheck);
  if (!answer.ok()) return Failed(kTryAgain, AwayText(call, answer.status()), kWhatToDo);
  return Failed(*answer);
}

Outcome Gc(const Call& call) {
  ForgetOthers(call.directory, call.network, call.valid);
  const auto answer = AskShortly(call, Command::kGc);
  if (!answer.ok()) return Failed(kTryAgain, AwayText(call, answer.status()), kWhatToDo);
  return Failed(*answer);
}

Outcome Health(const Call& call) {
  const auto answer = AskShortly(call, Command::kStatus);
  if (answer.ok() && answer->code == kOk) return {};
  const std::string why = answer.ok() ? answer->message : AwayText(call, answer.status());
  if (answer.ok() && answer->code == kLimitedConnectivity) return Failed(*answer);
  if (call.closed_when_away) return Failed(kLimitedConnectivity, why + "; new pods stay closed", kWhatToDo);
  return Failed(kNotAvailable, why, kWhatToDo);
}

Outcome Run(const Call& call) {
  switch (call.kind) {
    case Call::Kind::kAdd:
      return Add(call);
    case Call::Kind::kDel:
      return Del(call);
    case Call::Kind::kCheck:
      return Check(call);
    case Call::Kind::kGc:
      return Gc(call);
    case Call::Kind::kStatus:
      return Health(call);
    case Call::Kind::kVersion:
      break;
  }
  const Json versions = {{"cniVersion", call.version}, {"supportedVersions", kSupportedVersions}};
  return {.error = {}, .out = versions.dump() + "\n", .note = {}};
}

std::string Line(const Call& call, const Outcome& outcome) {
  char now[32] = "";
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) != nullptr) std::strftime(now, sizeof(now), "%FT%TZ", &utc);
  std::string text = fmt::format("{} {} {} {} {}: ", now, CallName(call.kind), PodName(call),
                                 call.attachment.container_id, call.attachment.ifname);
  if (outcome.error.code != kOk) {
    text += fmt::format("code {}: {}", outcome.error.code, outcome.error.message);
  } else {
    text += outcome.note.empty() ? "ok" : "ok; " + outcome.note;
  }
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text + "\n";
}

// A log that cannot be written is no reason for a pod not to start.
void AppendToLog(const std::string& path, const std::string& line) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  struct stat facts {};
  if (!fd.valid() || fstat(fd.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  if (write(fd.get(), line.data(), line.size()) < 0) return;
  if (facts.st_size > kMaxLog) rename(path.c_str(), (path + ".1").c_str());
}

}  // namespace

PluginOutput RunPlugin(const std::map<std::string, std::string>& environment, const std::string& config) {
  Call call;
  Outcome outcome;
  outcome.error = ReadCall(environment, config, call);
  if (outcome.error.code == kOk) outcome = Run(call);
  PluginOutput output;
  const std::string line = Line(call, outcome);
  if (!call.log.empty()) AppendToLog(call.log, line);
  if (outcome.error.code == kOk) {
    output.out = outcome.out;
    if (!outcome.note.empty()) output.err = line;
    return output;
  }
  Json error = {{"cniVersion", call.version}, {"code", outcome.error.code}, {"msg", outcome.error.message}};
  if (!outcome.error.details.empty()) error["details"] = outcome.error.details;
  output.out = error.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  output.err = line;
  output.exit_code = 1;
  return output;
}

}  // namespace sluice::cni
