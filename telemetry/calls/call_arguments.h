// The arguments of a call, by name and in the order of Falco's table of events, as texts.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "policy/rules/event.h"
#include "telemetry/calls/call_descriptor.h"

namespace sluice::telemetry {

// Owns the texts of one event's arguments. Reused from event to event.
class CallArguments {
 public:
  using UserName = std::function<std::string(std::uint32_t uid)>;  // empty: not known

  // Valid until the next call. `descriptor`: as DescribeDescriptor says. `process`: of execve.
  std::span<const policy::rules::Argument> Fill(const CallRecord& record, const CallDescriptor* descriptor,
                                                const policy::rules::Process& process, const UserName& user_name);

 private:
  std::string& NewText();
  void Add(const char* name, std::string text);
  void AddNumber(const char* name, std::int64_t number);
  void AddResult(const CallRecord& record, const char* name);
  void AddDescriptor(const CallRecord& record, const char* name, std::int64_t number, const CallDescriptor* descriptor);
  void AddOpened(const CallRecord& record, const CallDescriptor* descriptor);
  void AddDirectory(const char* name, const CallRecord& record, std::uint32_t argument, sl_call_text base);
  void AddMode(const char* name, std::uint64_t mode);
  void AddUser(const char* name, std::uint64_t uid, const UserName& user_name);
  void FillOpen(const CallRecord& record, const CallDescriptor* descriptor);
  void FillSocket(const CallRecord& record, const CallDescriptor* descriptor);
  void FillFile(const CallRecord& record, const CallDescriptor* descriptor, const UserName& user_name);
  void FillExec(const CallRecord& record, const policy::rules::Process& process);
  void FillOther(const CallRecord& record, const CallDescriptor* descriptor, const UserName& user_name);

  std::deque<std::string> texts_;  // the first `used_` are in use; a deque does not move its elements
  std::size_t used_ = 0;
  std::vector<policy::rules::Argument> arguments_;
};

}  // namespace sluice::telemetry
