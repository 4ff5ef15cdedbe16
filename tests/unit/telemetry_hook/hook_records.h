// Records in the format of the hook programs, and a policy for them.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "bpf/abi/hook.h"
#include "policy/tracing/compiled.h"
#include "telemetry/hook/hook_description.h"

namespace sluice::telemetry {

// Builds one record:
//   HookBytes({.call = 7}).Number(4).Text(SL_HOOK_READ_FILE, "/etc/passwd").bytes()
class HookBytes {
 public:
  struct Header {
    sl_hook_event_kind kind = SL_HOOK_EVENT_ENTER;
    std::uint64_t call = 0;
    std::uint64_t time_ns = 1000;
    sl_process_id process = 0;
    std::uint32_t pid = 10;
    std::uint64_t birth_ns = 0;
    std::uint32_t hook = 1;
    std::uint32_t life = 1;
    std::uint32_t subject = 0;
    std::uint32_t actions = SL_HOOK_ACTION_POST;
    std::int64_t return_value = 0;
    std::uint8_t selector = 0;
    std::uint8_t monitor = 0;
  };

  explicit HookBytes(const Header& header) {
    event_.time_ns = header.time_ns;
    event_.process = header.process;
    event_.birth_ns = header.birth_ns;
    event_.call = header.call;
    event_.return_value = header.return_value;
    event_.pid = header.pid;
    event_.tid = header.pid + 1;
    event_.hook = header.hook;
    event_.life = header.life;
    event_.subject = header.subject;
    event_.actions = header.actions;
    event_.kernel_stack = event_.user_stack = -1;
    event_.kind = static_cast<std::uint8_t>(header.kind);
    event_.selector = header.selector;
    event_.monitor = header.monitor;
  }

  HookBytes& Number(std::uint64_t number, std::uint8_t flags = SL_HOOK_VALUE_READ) {
    return Add(SL_HOOK_READ_NUMBER, number, {}, flags);
  }
  HookBytes& Text(sl_hook_read read, std::string_view text, std::uint64_t number = 0,
                  std::uint8_t flags = SL_HOOK_VALUE_READ) {
    return Add(read, number, text, flags);
  }
  template <typename T>
  HookBytes& Struct(sl_hook_read read, const T& value) {
    return Add(read, 0, {reinterpret_cast<const char*>(&value), sizeof(value)}, SL_HOOK_VALUE_READ);
  }
  HookBytes& Unread(sl_hook_read read) { return Add(read, 0, {}, 0); }

  sl_hook_event& event() { return event_; }
  std::string bytes() const {
    sl_hook_event event = event_;
    event.length = static_cast<std::uint32_t>(data_.size());
    return std::string(reinterpret_cast<const char*>(&event), sizeof(event)) + data_;
  }

 private:
  HookBytes& Add(sl_hook_read read, std::uint64_t number, std::string_view data, std::uint8_t flags) {
    sl_hook_value& value = event_.arguments[event_.argument_count++];
    value.number = number;
    value.offset = static_cast<std::uint32_t>(data_.size());
    value.length = static_cast<std::uint16_t>(data.size());
    value.read = static_cast<std::uint8_t>(read);
    value.flags = flags;
    data_.append(data);
    data_.resize((data_.size() + 7) / 8 * 8);
    return *this;
  }

  sl_hook_event event_{};
  std::string data_;
};

// A policy with one hook, for changes in place.
struct OneHook {
  policy::tracing::TracingPolicy policy;
  policy::tracing::CompiledHook compiled;

  OneHook() {
    policy.name = {"", "guard"};
    policy.hooks.resize(1);
    compiled.selectors.resize(1);
    compiled.selectors[0].actions = SL_HOOK_ACTION_POST;
    Function("security_file_permission");
  }
  policy::tracing::Hook& hook() { return policy.hooks[0]; }
  void Function(const std::string& name) {
    hook().target = policy::tracing::FunctionTarget{.function = name};
    compiled.point = {.kind = policy::tracing::HookPoint::Kind::kFunction, .group = "", .name = name};
  }
  void Syscall(const std::string& name) {
    hook().target = policy::tracing::FunctionTarget{.function = "sys_" + name, .syscall = true};
    compiled.point = {.kind = policy::tracing::HookPoint::Kind::kSyscall, .group = "", .name = name};
  }
  void Argument(policy::tracing::ArgType type, sl_hook_read read, std::uint8_t size = 0, std::uint8_t flags = 0) {
    policy::tracing::Argument wanted;
    wanted.type = type;
    wanted.index = static_cast<int>(hook().args.size());
    sl_hook_argument& how = compiled.hook.arguments[compiled.hook.argument_count++];
    how.read = static_cast<std::uint8_t>(read);
    how.size = size;
    how.flags = flags;
    hook().args.push_back(wanted);
  }
  void Int() { Argument(policy::tracing::ArgType::kInt, SL_HOOK_READ_NUMBER, 4, SL_HOOK_ARGUMENT_SIGNED); }
  void Returns() {
    hook().returns = true;
    hook().return_arg.emplace().type = policy::tracing::ArgType::kInt;
    compiled.hook.return_value.read = SL_HOOK_READ_NUMBER;
    compiled.hook.return_value.size = 4;
    compiled.hook.return_value.flags = SL_HOOK_ARGUMENT_SIGNED;
  }
  HookDescription Describe() const {
    auto made = std::make_shared<policy::tracing::CompiledPolicy>();
    made->policy = std::make_shared<const policy::tracing::TracingPolicy>(policy);
    made->hooks = {compiled};
    return {.policy = made, .hook = 0};
  }
};

}  // namespace sluice::telemetry
