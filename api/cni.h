// What the CNI plugin (ctrl/cni) and the agent (ctrl/pods) say to each other, and the files that the plugin leaves
// for an agent that does not answer.
//
// A call is one connection to a unix stream socket: the plugin sends one JSON object and shuts its side down, the
// agent answers with one and closes. Neither takes more than kMaxMessage bytes.
//   {"protocol":1,"command":"ADD","containerID":"4f..","netns":"/run/netns/x","ifname":"eth0",...}
//   {"protocol":1,"code":0}
// Plain values and functions without state; thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::cni {

inline constexpr int kProtocol = 1;
inline constexpr std::size_t kMaxMessage = std::size_t{1} << 20;
inline constexpr const char* kDefaultSocket = "/run/sluice/cni.sock";
// Holds kDeletedDirectory and kPendingDirectory. Files there are named by FileName.
inline constexpr const char* kDefaultDirectory = "/run/sluice/cni";
inline constexpr const char* kDeletedDirectory = "deleted";  // DEL that the agent was not told of; empty files
inline constexpr const char* kPendingDirectory = "pending";  // ADD likewise, with a closed interface; requests as JSON
inline constexpr std::size_t kMaxFiles = 4096;               // in each of them

// The tc filters (kind "bpf", of all protocols, ingress and egress) that close the host end of a pod's veth until the
// agent has attached its programs there.
inline constexpr std::uint16_t kClosingPriority = 1;
inline constexpr std::uint32_t kClosingHandle = 0x51c10;

enum class Command { kAdd, kDel, kCheck, kGc, kStatus };
std::string_view CommandName(Command command);  // "ADD"

// Error codes: those of the CNI specification, and from 100 on our own.
enum Code : int {
  kOk = 0,
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kBadEnvironment = 4,
  kIoFailure = 5,
  kNotDecoded = 6,
  kBadConfig = 7,
  kTryAgain = 11,
  kNotAvailable = 50,         // STATUS: ADD would fail
  kLimitedConnectivity = 51,  // STATUS: existing pods may be affected
  kNotEnforced = 100,         // ADD, CHECK: the agent cannot enforce on the pod
  kInterfaceNotUsable = 101,  // the pod's interface is no veth
  kUnknownToAgent = 102,      // CHECK: the agent knows no such pod
};

// One interface of one container (a pod's sandbox).
struct Attachment {
  std::string container_id;
  std::string ifname;
  auto operator<=>(const Attachment&) const = default;
};

struct Request {
  Command command = Command::kStatus;
  std::string network;  // name of the network configuration
  Attachment attachment;
  std::string netns;                             // path of the pod's namespace; may be empty for DEL
  std::string pod_namespace, pod_name, pod_uid;  // of CNI_ARGS; the uid may be empty
  std::string sandbox_id;                        // K8S_POD_INFRA_CONTAINER_ID; empty: not given
  std::vector<std::string> addresses;            // of the result so far, without prefix lengths
  std::string host_interface;                    // the veth's host end; empty: not known
  std::uint32_t host_ifindex = 0;
  std::vector<Attachment> valid;  // GC: all that the network has
  std::uint32_t timeout_ms = 0;   // how long the plugin waits for the answer; 0: the agent's default
};

struct Answer {
  int code = kOk;
  std::string message;  // one sentence
  std::string details;
};

// Of the specification: letters, digits, '_', '.', '-', the first a letter or a digit.
bool IsContainerId(std::string_view text);
// What may be an interface's name: 1 to 15 characters, no space, '/' or ':'; not "." or "..".
bool IsInterfaceName(std::string_view text);

std::string ToJson(const Request& request);
std::string ToJson(const Answer& answer);
// InvalidArgument names the field. FailedPrecondition: the other side speaks another version of the protocol.
StatusOr<Request> ParseRequest(std::string_view json);
StatusOr<Answer> ParseAnswer(std::string_view json);

// "ID@IFNAME", and back. InvalidArgument: not such a name.
std::string FileName(const Attachment& attachment);
StatusOr<Attachment> ParseFileName(std::string_view name);

using Deadline = std::chrono::steady_clock::time_point;

// Writes all of `message`, and shuts this side of `socket` down. Any mode of the socket; no SIGPIPE.
// DeadlineExceeded; Unavailable: the other side has gone.
Status SendMessage(int socket, std::string_view message, Deadline deadline);
// Reads until the other side shuts down. ResourceExhausted: more than kMaxMessage bytes. DeadlineExceeded.
StatusOr<std::string> ReceiveMessage(int socket, Deadline deadline);

}  // namespace sluice::cni
