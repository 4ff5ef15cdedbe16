// What a selector that matches may do. The one list: the enum, the parser and docs/tracing-policy.md are made from it.
// Pure.
#pragma once

#include <array>
#include <string_view>

namespace sluice::policy::tracing {

// X(enumerator, name, fields beside `action`, what the kernel must have, meaning). A meaning that begins with "refused"
// is the reason why the parser refuses the action.
#define SL_ACTION_TYPES(X)                                                                                           \
  X(kPost, "Post", "rateLimit rateLimitScope kernelStackTrace userStackTrace imaHash", "imaHash: Linux 5.11",        \
    "makes an event, as without any action")                                                                         \
  X(kNoPost, "NoPost", "", "", "makes no event; other actions are still taken")                                      \
  X(kSigkill, "Sigkill", "argError", "Linux 5.3", "kills the process; argError has no effect, as in Tetragon")       \
  X(kSignal, "Signal", "argSig", "Linux 5.3", "sends the process a signal")                                          \
  X(kOverride, "Override", "argError argRegs argNewSymbol argNewAddr argNewOffset",                                  \
    "system calls: CONFIG_FUNCTION_ERROR_INJECTION and trampolines; security_* and lsmhooks: Linux 5.7; uprobes: "   \
    "Linux 6.18",                                                                                                    \
    "does not run the function: it returns argError")                                                                \
  X(kTrackSock, "TrackSock", "argSock", "", "remembers the process as the socket's owner")                           \
  X(kUntrackSock, "UntrackSock", "argSock", "", "forgets the socket's owner")                                        \
  X(kNotifyEnforcer, "NotifyEnforcer", "argError argSig", "", "leaves an error or a signal for the enforcer")        \
  X(kCleanupEnforcerNotification, "CleanupEnforcerNotification", "", "", "takes what is left for the enforcer away") \
  X(kSet, "Set", "argIndex argValue", "", "writes an argument of a static probe; usdts only")                        \
  X(kQuarantine, "Quarantine", "", "", "cuts the workload off the network; Sluice's own")                            \
  X(kFollowFd, "FollowFD", "argFd argName", "", "accepted, and does nothing: the type fd finds its path itself")     \
  X(kUnfollowFd, "UnfollowFD", "argFd argName", "", "accepted, and does nothing: see FollowFD")                      \
  X(kCopyFd, "CopyFD", "argFd argName", "", "accepted, and does nothing: see FollowFD")                              \
  X(kGetUrl, "GetUrl", "argUrl", "", "refused: an agent does not call out for a policy")                             \
  X(kDnsLookup, "DnsLookup", "argFqdn", "", "refused: an agent does not call out for a policy")

enum class ActionType {
#define SL_X(enumerator, name, fields, kernels, meaning) enumerator,
  SL_ACTION_TYPES(SL_X)
#undef SL_X
};

struct ActionTypeInfo {
  ActionType type;
  std::string_view name;     // as policies write it
  std::string_view fields;   // those that it may have, separated by spaces
  std::string_view kernels;  // what the kernel must have; empty: no more than its hook
  std::string_view meaning;  // for people

  constexpr bool IsRefused() const { return meaning.starts_with("refused"); }
};

// In the order of ActionType.
inline constexpr std::array kActionTypes = {
#define SL_X(enumerator, name, fields, kernels, meaning) \
  ActionTypeInfo{ActionType::enumerator, name, fields, kernels, meaning},
    SL_ACTION_TYPES(SL_X)
#undef SL_X
};

constexpr const ActionTypeInfo& InfoOf(ActionType type) { return kActionTypes[static_cast<std::size_t>(type)]; }

}  // namespace sluice::policy::tracing
