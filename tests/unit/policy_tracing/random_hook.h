// Random policies of one hook, and random facts that often meet their filters. The same seed gives the same ones.
#pragma once

#include <array>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "policy/tracing/constants.h"
#include "policy/tracing/evaluate.h"

namespace sluice::policy::tracing {

class RandomHooks {
 public:
  explicit RandomHooks(std::uint32_t seed) : random_(seed) {}

  static CompileOptions Options() {
    CompileOptions options;
    options.host_namespaces.fill(kHostInode);
    options.syscall_number = [](std::string_view name) -> std::optional<std::uint32_t> {
      return name == "dup" ? 4 : 1023;
    };
    return options;
  }

  // Whether the compiler takes the operator for the type.
  static bool Fits(const OperatorInfo& op, const ArgTypeInfo& type) {
    return Has(op.classes, type.values) && type.type != ArgType::kDataLoc;
  }

  TracingPolicy Policy() {
    TracingPolicy policy;
    policy.name = {.ns = Chance(4) ? "shop" : "", .name = "p"};
    if (Chance(3)) policy.scope = AnyScope();
    policy.lists.push_back(CallList());
    policy.hooks.push_back(AnyHook());
    return policy;
  }

  // With one filter, whose operator fits the type.
  TracingPolicy PolicyOn(const OperatorInfo& op, ArgType type) {
    TracingPolicy policy{.name = {.ns = "", .name = "p"}};
    Hook hook{.kind = HookKind::kKprobe};
    hook.target = FunctionTarget{.function = "tcp_connect"};
    hook.args = {{.index = 0, .type = type}, {.index = 1, .type = type}};
    ArgumentFilter filter{.argument = 0, .second = {}, .op = op.op, .values = ValuesFor(op, InfoOf(type))};
    if (op.op == Operator::kCapabilitiesGained) filter.second = 1;
    hook.selectors.resize(1);
    hook.selectors[0].args.push_back(filter);
    policy.hooks.push_back(hook);
    policy.lists.push_back(CallList());
    return policy;
  }

  // On a system call, with its arguments from `first` on. Its selectors do nothing but to make an event.
  TracingPolicy PolicyOnCall(const std::string& function, int first, const std::vector<ArgType>& types) {
    TracingPolicy policy{.name = {.ns = "", .name = "p"}};
    if (Chance(6)) policy.scope = AnyScope();
    policy.lists.push_back(CallList());
    Hook hook{.kind = HookKind::kKprobe};
    hook.target = FunctionTarget{.function = function, .list = "", .syscall = true};
    for (const ArgType type : types) hook.args.push_back({.index = first++, .type = type});
    hook.returns = Chance(3);
    if (hook.returns) hook.return_arg = Argument{.type = ArgType::kInt};
    for (int i = Number(1, 3); i > 0; --i) {
      HookSelector selector = AnyHookSelector(hook);
      selector.actions.clear();
      selector.return_actions.clear();
      hook.selectors.push_back(std::move(selector));
    }
    policy.hooks.push_back(std::move(hook));
    return policy;
  }

  Facts FactsFor(const TracingPolicy& policy) {
    const Hook& hook = policy.hooks[0];
    Facts facts{.subject = AnySubject(), .process = AnyProcess(), .args = {}, .data = {}, .result = {}};
    for (const Argument& argument : hook.args) facts.args.push_back(AnyValue(argument.type));
    if (hook.return_arg) facts.result = AnyValue(hook.return_arg->type);
    return facts;
  }

 private:
  static constexpr std::uint32_t kHostInode = 7;

  bool Chance(int one_in) { return Number(1, one_in) == 1; }
  int Number(int first, int last) { return std::uniform_int_distribution<int>(first, last)(random_); }
  template <typename List>
  auto Pick(const List& list) {
    return list[static_cast<std::size_t>(Number(0, static_cast<int>(std::size(list)) - 1))];
  }

  // A number of the type, sign-extended if it is signed; often at an end of what the type can hold.
  std::uint64_t NumberOf(const ArgTypeInfo& type) {
    constexpr std::uint64_t kNumbers[] = {0, 1, 2, 3, 4, 5, 0x7f, 0x80, 1023, 1024};
    const bool is_signed = type.values == ValueClass::kSigned;
    const auto bits = static_cast<unsigned>(type.bits == 0 ? 64 : type.bits);
    const std::uint64_t all = ~std::uint64_t{0} >> (64 - bits);
    std::uint64_t number = Pick(kNumbers);
    if (Chance(4)) number = all - number;                           // near the end, or below 0
    if (is_signed && Chance(6)) number = (all >> 1U) - number;      // near the highest
    if (is_signed && Chance(6)) number = (all >> 1U) + 1 + number;  // near the lowest
    number &= all;
    const bool negative = is_signed && (number >> (bits - 1)) != 0;
    return negative ? number | ~all : number;
  }

  std::string Text() {
    static const std::string kTexts[] = {"/etc/passwd",
                                         "/etc/shadow",
                                         "/ETC/Passwd",
                                         "/usr/bin/cat",
                                         "/usr/bin/tac",
                                         "/default.json",
                                         "12345678",
                                         "123456789",
                                         "a",
                                         "/a/very/long/path/to/a/file",
                                         "/a/very/long/path/to/a/fire"};
    return Pick(kTexts);
  }
  // A text, its beginning, its end or a part.
  std::string PartOf(const std::string& text) {
    if (Chance(3)) return text;
    const auto size = static_cast<int>(text.size());
    const int begin = Chance(2) ? 0 : Number(0, size - 1);
    const int end = Chance(2) ? size : Number(begin + 1, size);
    return text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }

  policy::Address AnyAddress() {
    static constexpr const char* kAddresses[] = {
        "10.0.0.1", "10.255.0.1", "192.168.1.1", "0.0.0.0",    "255.255.255.255",  "::1",
        "::",       "fd00::1",    "2001:db8::1", "::8000:0:0", "::fffe:ffff:ffff", "ffff::"};
    return *Address::Parse(Pick(kAddresses));
  }
  Prefix AnyPrefix() {
    const Address address = AnyAddress();
    constexpr int kV4Lengths[] = {0, 1, 8, 24, 31, 32};
    constexpr int kV6Lengths[] = {0, 1, 8, 64, 80, 81, 95, 96, 127, 128};
    return {address, address.is_v4() ? Pick(kV4Lengths) : Pick(kV6Lengths)};
  }

  std::uint64_t NumberOfForm(ValueForm form) {
    constexpr std::uint64_t kPorts[] = {0, 22, 80, 1023, 1024, 65535};
    constexpr std::uint64_t kProtocols[] = {1, 6, 17, 262};
    constexpr std::uint64_t kFamilies[] = {1, 2, 10};
    switch (form) {
      case ValueForm::kPort:
        return Pick(kPorts);
      case ValueForm::kProtocol:
        return Pick(kProtocols);
      case ValueForm::kFamily:
        return Pick(kFamilies);
      case ValueForm::kFileType:
        return Pick(FileTypes()).number;
      default:
        return static_cast<std::uint64_t>(Number(1, 13));  // TCP states
    }
  }

  NumberRange Range(std::uint64_t a, std::uint64_t b, bool is_signed) {
    const bool in_order = is_signed ? static_cast<std::int64_t>(a) <= static_cast<std::int64_t>(b) : a <= b;
    return in_order ? NumberRange{a, b} : NumberRange{b, a};
  }

  static List CallList() {
    return {.name = "calls", .type = List::Type::kSyscalls, .values = {"sys_dup", "sys_dup2"}, .pattern = ""};
  }

  FilterValues ValuesFor(const OperatorInfo& op, const ArgTypeInfo& type) {
    FilterValues values;
    if (op.form == ValueForm::kSet && Chance(3)) values.lists.push_back(CallList().name);
    const bool is_signed = type.values == ValueClass::kSigned;
    int count = Number(1, 3);
    if (op.form == ValueForm::kSet && Chance(2)) count = 20;
    for (int i = 0; i < count; ++i) {
      switch (op.form) {
        case ValueForm::kOfType:
          if (Has(kTextClasses, type.values)) {
            values.texts.push_back(Text());
          } else {
            const std::uint64_t number = NumberOf(type);
            values.numbers.push_back({number, number});
          }
          break;
        case ValueForm::kSet:
        case ValueForm::kRange: {
          const std::uint64_t number = NumberOf(type);
          const bool single = op.form == ValueForm::kSet && !Chance(4);
          values.numbers.push_back(Range(number, single ? number : NumberOf(type), is_signed));
          break;
        }
        case ValueForm::kPrefix:
        case ValueForm::kPostfix:
        case ValueForm::kSubString:
          values.texts.push_back(PartOf(Text()));
          break;
        case ValueForm::kAddress:
          values.addresses.push_back(AnyPrefix());
          break;
        case ValueForm::kNone:
        case ValueForm::kRefused:
          break;
        default: {
          const std::uint64_t number = NumberOfForm(op.form);
          const bool range = op.form != ValueForm::kFileType && Chance(3);
          values.numbers.push_back(Range(number, range ? NumberOfForm(op.form) : number, false));
        }
      }
    }
    return values;
  }

  std::vector<OperatorInfo> OperatorsOf(const ArgTypeInfo& type) {
    std::vector<OperatorInfo> operators;
    for (const OperatorInfo& op : kOperators) {
      if (Fits(op, type)) operators.push_back(op);
    }
    return operators;
  }

  ArgumentFilter FilterOn(const std::vector<Argument>& arguments, std::size_t position) {
    const ArgTypeInfo& type = InfoOf(arguments[position].type);
    const OperatorInfo op = Pick(OperatorsOf(type));
    ArgumentFilter filter{.argument = position, .second = {}, .op = op.op, .values = ValuesFor(op, type)};
    if (op.op != Operator::kCapabilitiesGained) return filter;
    do {
      filter.second = static_cast<std::size_t>(Number(0, static_cast<int>(arguments.size()) - 1));
    } while (InfoOf(arguments[*filter.second].type).values != ValueClass::kCapabilitySet);
    return filter;
  }

  ArgType AnyType() {
    while (true) {
      const ArgTypeInfo type = Pick(kArgTypes);
      if (type.values != ValueClass::kNothing && type.type != ArgType::kDataLoc) return type.type;
    }
  }

  Selector AnySelector(const std::string& key, const std::string& value) {
    const auto op = Chance(3) ? Selector::Operator::kNotIn : Selector::Operator::kIn;
    return {.requirements = {{.key = key, .op = op, .values = {value}}}};
  }
  Scope AnyScope() {
    Scope scope;
    if (Chance(2)) scope.pods = AnySelector("app", "web");
    if (Chance(3)) scope.containers = AnySelector(Chance(2) ? "name" : "repo", "web");
    scope.host = Chance(2);
    return scope;
  }
  Subject AnySubject() {
    if (Chance(3)) return {.host = true};
    Subject subject{.host = false, .ns = Chance(3) ? "other" : "shop"};
    if (!Chance(4)) subject.labels["app"] = Chance(2) ? "web" : "db";
    if (!Chance(4)) subject.container = subject.repository = Chance(2) ? "web" : "side";
    return subject;
  }

  std::uint32_t Pid() { return static_cast<std::uint32_t>(Number(1, 4)); }
  std::uint32_t Inode() { return static_cast<std::uint32_t>(Number(6, 8)); }
  std::uint64_t Capabilities() { return static_cast<std::uint64_t>(Number(0, 15)); }
  NamespaceType AnyNamespace() {
    return static_cast<NamespaceType>(Number(0, static_cast<int>(kNamespaceTypeCount) - 1));
  }
  CapabilityFilter AnyCapabilities() {
    CapabilityFilter filter{.set = static_cast<CapabilitySet>(Number(0, 2)),
                            .negated = Chance(2),
                            .in_namespace = false,
                            .mask = static_cast<std::uint64_t>(Number(1, 15))};
    filter.in_namespace = !filter.negated && Chance(2);
    return filter;
  }
  BinaryFilter Binaries(bool follow) {
    BinaryFilter filter{.op = Pick(kSetOperators).op, .paths = {}, .follow_children = false};
    const bool whole = filter.op == SetOperator::kIn || filter.op == SetOperator::kNotIn;
    for (int i = Number(1, 3); i > 0; --i) filter.paths.push_back(whole ? Text() : PartOf(Text()));
    filter.follow_children = whole && follow && Chance(3);
    return filter;
  }
  void AddProcessFilter(HookSelector& selector) {
    switch (Chance(10) ? Number(7, 8) : Number(1, 6)) {
      case 1: {
        PidFilter filter{
            .negated = Chance(2), .pids = {Pid(), Pid()}, .in_namespace = Chance(2), .follow_forks = false};
        filter.follow_forks = Chance(2);
        selector.pids.push_back(filter);
        break;
      }
      case 2:
        selector.binaries.push_back(Binaries(true));
        break;
      case 3:
        selector.parent_binaries.push_back(Binaries(false));
        break;
      case 4:
        selector.namespaces.push_back(
            {.type = AnyNamespace(), .negated = Chance(2), .inodes = {Inode()}, .host = Chance(2)});
        break;
      case 7:
        selector.namespace_changes.push_back({.negated = Chance(2), .types = {AnyNamespace(), AnyNamespace()}});
        break;
      case 5:
        selector.capabilities.push_back(AnyCapabilities());
        break;
      case 6:
        selector.workloads.push_back(AnyScope());
        break;
      default:
        selector.capability_changes.push_back(AnyCapabilities());
    }
  }

  // Of one time. `socket`: the position of a sock in args, if there is one.
  void AddActions(std::vector<Action>& actions, bool at_return, std::optional<std::size_t> socket) {
    const auto add = [&](ActionType type) -> Action& { return actions.emplace_back(Action{.type = type}); };
    if (Chance(3)) add(ActionType::kPost).kernel_stack = Chance(10);
    if (!at_return && Chance(6)) {
      Action& post = add(ActionType::kPost);
      post.rate_limit = Number(1, 60);
      post.rate_scope = static_cast<Action::RateScope>(Number(0, 2));
      post.user_stack = Chance(10);
    }
    if (Chance(8)) add(ActionType::kNoPost);
    if (Chance(4)) add(ActionType::kSigkill);
    if (Chance(4) && (actions.empty() || actions.back().type != ActionType::kSigkill)) {
      add(ActionType::kSignal).signal = Number(1, 64);
    }
    if (!at_return && Chance(4)) add(ActionType::kOverride).error = -Number(0, 3);
    if (Chance(4)) add(ActionType::kQuarantine);
    if (socket && Chance(3)) add(Chance(2) ? ActionType::kTrackSock : ActionType::kUntrackSock).socket = *socket;
    if (Chance(20)) add(ActionType::kCleanupEnforcerNotification);
    if (!at_return && Chance(20)) {
      Action& notify = add(ActionType::kNotifyEnforcer);
      notify.error = -1;
      notify.signal = Number(0, 9);
    }
  }

  HookSelector AnyHookSelector(const Hook& hook) {
    HookSelector selector;
    for (int i = Number(0, 2); i > 0 && !hook.args.empty(); --i) {
      selector.args.push_back(
          FilterOn(hook.args, static_cast<std::size_t>(Number(0, static_cast<int>(hook.args.size()) - 1))));
    }
    if (Chance(3)) AddProcessFilter(selector);
    if (Chance(4)) AddProcessFilter(selector);
    std::optional<std::size_t> socket;
    for (std::size_t i = 0; i < hook.args.size(); ++i) {
      if (hook.args[i].type == ArgType::kSock && !hook.return_action) socket = i;
    }
    AddActions(selector.actions, false, socket);
    if (hook.returns && hook.return_arg->type != ArgType::kSock && Chance(2)) {
      selector.return_args.push_back(FilterOn({*hook.return_arg}, 0));
    }
    if (hook.returns && Chance(3)) AddActions(selector.return_actions, true, socket);
    return selector;
  }

  Hook AnyHook() {
    Hook hook{.kind = HookKind::kKprobe};
    if (Chance(10)) {
      hook.kind = HookKind::kTracepoint;
      hook.target = TracepointTarget{.subsystem = "syscalls", .event = "sys_exit_openat"};
      hook.args.push_back({.index = 5, .type = Chance(2) ? ArgType::kInt : ArgType::kUint64});
    } else {
      hook.target = FunctionTarget{.function = "tcp_connect"};
      for (int i = Number(0, 3); i > 0; --i) hook.args.push_back({.index = i, .type = AnyType()});
      hook.returns = Chance(3);
      if (hook.returns) hook.return_arg = Argument{.type = Chance(2) ? ArgType::kInt : ArgType::kUint64};
      if (hook.returns && Chance(3)) {
        hook.return_arg->type = ArgType::kSock;
        hook.return_action = Chance(2) ? ActionType::kTrackSock : ActionType::kUntrackSock;
      }
    }
    for (int i = Number(0, 3); i > 0; --i) hook.selectors.push_back(AnyHookSelector(hook));
    return hook;
  }

  SocketFacts AnySocket() {
    SocketFacts socket{.source = AnyAddress(),
                       .destination = AnyAddress(),
                       .source_port = static_cast<std::uint16_t>(NumberOfForm(ValueForm::kPort)),
                       .destination_port = static_cast<std::uint16_t>(NumberOfForm(ValueForm::kPort)),
                       .family = static_cast<std::uint16_t>(NumberOfForm(ValueForm::kFamily)),
                       .protocol = static_cast<std::uint16_t>(NumberOfForm(ValueForm::kProtocol)),
                       .state = static_cast<std::uint8_t>(NumberOfForm(ValueForm::kState))};
    if (Chance(6)) socket.source.reset();
    if (Chance(6)) socket.destination.reset();
    return socket;
  }

 public:
  // A type of numbers.
  ArgType AnyNumberType() {
    while (true) {
      const ArgTypeInfo type = Pick(kArgTypes);
      if (type.bits != 0) return type.type;
    }
  }
  // With anything in the bits that the type does not have, as registers may have.
  std::uint64_t InRegister(std::uint64_t number, ArgType type) {
    const int bits = InfoOf(type).bits;
    return bits == 64 ? number
                      : (number & ((std::uint64_t{1} << bits) - 1)) | static_cast<std::uint64_t>(random_()) << bits;
  }

  ValueFacts AnyValue(ArgType of) {
    const ArgTypeInfo& type = InfoOf(of);
    ValueFacts value;
    if (Chance(8)) return value;
    if (Has(kTextClasses, type.values)) {
      value.text = Chance(3) ? Text() + "/" + PartOf(Text()) : Text();
      if (type.values == ValueClass::kUnixAddress) value.number = NumberOfForm(ValueForm::kFamily);
      if (type.values == ValueClass::kFile) value.number = Pick(FileTypes()).number | 0644;
    } else if (Has(kSourceClasses, type.values)) {
      value.socket = AnySocket();
    } else {
      value.number = NumberOf(type);
    }
    return value;
  }

 private:
  ProcessFacts AnyProcess() {
    ProcessFacts process{.pid = Pid(), .namespaced_pid = Pid()};
    for (int i = Number(0, 2); i > 0; --i) process.ancestors.push_back(Pid());
    for (int i = Number(0, 2); i > 0; --i) process.namespaced_ancestors.push_back(Pid());
    for (std::size_t i = 0; i < kNamespaceTypeCount; ++i) {
      process.namespaces[i] = Inode();
      process.namespaces_at_exec[i] = Chance(2) ? process.namespaces[i] : Inode();
    }
    for (std::size_t i = 0; i < process.capabilities.size(); ++i) {
      process.capabilities[i] = Capabilities();
      process.capabilities_at_exec[i] = Chance(2) ? process.capabilities[i] : Capabilities();
    }
    if (!Chance(8)) process.binary = Text();
    if (!Chance(8)) process.parent_binary = Text();
    for (int i = Number(0, 2); i > 0; --i) process.executed.push_back(Text());
    return process;
  }

  std::mt19937 random_;
};

}  // namespace sluice::policy::tracing
