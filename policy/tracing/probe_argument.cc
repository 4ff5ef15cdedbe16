#include "policy/tracing/probe_argument.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "bpf/abi/hook.h"

namespace sluice::policy::tracing {
namespace {

// A register of x86-64: its names by size, and its place in struct pt_regs.
struct X86Register {
  std::array<std::string_view, 4> names;
  unsigned word;
};
constexpr X86Register kX86Registers[] = {
    {{"rax", "eax", "ax", "al"}, 10},     {{"rbx", "ebx", "bx", "bl"}, 5},      {{"rcx", "ecx", "cx", "cl"}, 11},
    {{"rdx", "edx", "dx", "dl"}, 12},     {{"rsi", "esi", "si", "sil"}, 13},    {{"rdi", "edi", "di", "dil"}, 14},
    {{"rbp", "ebp", "bp", "bpl"}, 4},     {{"rsp", "esp", "sp", "spl"}, 19},    {{"r8", "r8d", "r8w", "r8b"}, 9},
    {{"r9", "r9d", "r9w", "r9b"}, 8},     {{"r10", "r10d", "r10w", "r10b"}, 7}, {{"r11", "r11d", "r11w", "r11b"}, 6},
    {{"r12", "r12d", "r12w", "r12b"}, 3}, {{"r13", "r13d", "r13w", "r13b"}, 2}, {{"r14", "r14d", "r14w", "r14b"}, 1},
    {{"r15", "r15d", "r15w", "r15b"}, 0}, {{"rip", "eip", "ip", ""}, 16},
};
constexpr unsigned kArmStackPointer = 31;  // in user_pt_regs

std::optional<unsigned> RegisterWord(std::string_view name, Machine machine) {
  if (name.empty()) return std::nullopt;
  if (machine == Machine::kX86_64) {
    for (const X86Register& one : kX86Registers) {
      if (std::find(one.names.begin(), one.names.end(), name) != one.names.end()) return one.word;
    }
    return std::nullopt;
  }
  if (name == "sp") return kArmStackPointer;
  unsigned number = 0;
  if (name.size() < 2 || (name[0] != 'x' && name[0] != 'w')) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() && number < kArmStackPointer ? std::optional(number)
                                                                                               : std::nullopt;
}

// A signed number of 32 bits, decimal or hexadecimal.
std::optional<std::int32_t> Displacement(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const int base = text.starts_with("0x") ? 16 : 10;
  if (base == 16) text.remove_prefix(2);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size() || text.starts_with('-')) return std::nullopt;
  if (negative) number = -number;
  if (number < std::numeric_limits<std::int32_t>::min() || number > std::numeric_limits<std::int32_t>::max())
    return std::nullopt;
  return static_cast<std::int32_t>(number);
}

std::uint64_t Kept(unsigned bytes, bool is_signed) {
  return SL_HOOK_STEP_BYTES(bytes) | (is_signed ? SL_HOOK_STEP_SIGNED : 0);
}

using Steps = std::optional<std::vector<std::uint64_t>>;

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// The name of a register of x86, which begins with "%".
std::optional<unsigned> X86Word(std::string_view text) {
  text = Trimmed(text);
  return text.starts_with('%') ? RegisterWord(text.substr(1), Machine::kX86_64) : std::nullopt;
}

// "16(%rsp)", "(%rax,%rcx,8)", "-4(,%rcx,4)". Absent: no such operand.
Steps StepsOfX86Memory(std::string_view text, std::uint64_t load) {
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos || !text.ends_with(')')) return std::nullopt;
  const auto displacement = open == 0 ? std::optional(0) : Displacement(text.substr(0, open));
  std::string_view inside = text.substr(open + 1, text.size() - open - 2);
  std::array<std::string_view, 3> parts;
  for (std::string_view& part : parts) {
    part = Trimmed(inside.substr(0, inside.find(',')));
    inside.remove_prefix(
        std::min(inside.size(), inside.find(',') == std::string_view::npos ? inside.size() : inside.find(',') + 1));
  }
  if (!displacement || !inside.empty()) return std::nullopt;
  std::vector<std::uint64_t> steps;
  if (!parts[1].empty()) {
    constexpr std::array<std::string_view, 4> kScales = {"1", "2", "4", "8"};
    const auto index = X86Word(parts[1]);
    const auto scale = parts[2].empty() ? kScales.begin() : std::find(kScales.begin(), kScales.end(), parts[2]);
    if (!index || scale == kScales.end()) return std::nullopt;
    steps.push_back(SL_HOOK_STEP(0, 0) |
                    SL_HOOK_STEP_REGISTER(std::uint64_t{*index}, static_cast<std::uint64_t>(scale - kScales.begin())));
  } else if (parts[0].empty()) {
    return std::nullopt;
  }
  std::uint64_t last = SL_HOOK_STEP(*displacement, 0) | load;
  if (!parts[0].empty()) {
    const auto base = X86Word(parts[0]);
    if (!base) return std::nullopt;
    last |= SL_HOOK_STEP_REGISTER(std::uint64_t{*base}, std::uint64_t{0});
  }
  steps.push_back(last);
  return steps;
}

// "[sp]", "[x0, 16]".
Steps StepsOfArmMemory(std::string_view text, std::uint64_t load) {
  if (!text.starts_with('[') || !text.ends_with(']')) return std::nullopt;
  const std::string_view inside = text.substr(1, text.size() - 2);
  const std::size_t comma = inside.find(',');
  const auto base = RegisterWord(Trimmed(inside.substr(0, comma)), Machine::kAarch64);
  const auto displacement =
      comma == std::string_view::npos ? std::optional(0) : Displacement(Trimmed(inside.substr(comma + 1)));
  if (!base || !displacement) return std::nullopt;
  return std::vector<std::uint64_t>{SL_HOOK_STEP(*displacement, 0) |
                                    SL_HOOK_STEP_REGISTER(std::uint64_t{*base}, std::uint64_t{0}) | load};
}

Steps StepsOfOperand(std::string_view operand, std::uint64_t kept, Machine machine) {
  const bool x86 = machine == Machine::kX86_64;
  const std::uint64_t load = kept | SL_HOOK_STEP_LOAD | SL_HOOK_STEP_USER;
  if (auto memory = x86 ? StepsOfX86Memory(operand, load) : StepsOfArmMemory(operand, load)) return memory;
  const auto word = x86 ? X86Word(operand) : RegisterWord(operand, machine);
  if (word)
    return std::vector<std::uint64_t>{SL_HOOK_STEP(0, 0) |
                                      SL_HOOK_STEP_REGISTER(std::uint64_t{*word}, std::uint64_t{0}) | kept};
  if (x86 && !operand.starts_with('$')) return std::nullopt;
  const auto constant = Displacement(x86 ? operand.substr(1) : operand);
  if (!constant) return std::nullopt;
  // A negative constant of 8 bytes is sign-extended by the step itself.
  return std::vector<std::uint64_t>{SL_HOOK_STEP(*constant, 0) | kept};
}

}  // namespace

std::vector<std::string_view> SplitProbeArguments(std::string_view arguments) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0, depth = 0;
  for (std::size_t i = 0; i <= arguments.size(); ++i) {
    const char c = i == arguments.size() ? ' ' : arguments[i];
    if (c == '[' || c == '(') ++depth;
    if ((c == ']' || c == ')') && depth > 0) --depth;
    if (c != ' ' || (depth > 0 && i < arguments.size())) continue;
    if (i > begin) parts.push_back(arguments.substr(begin, i - begin));
    begin = i + 1;
  }
  return parts;
}

StatusOr<std::vector<std::uint64_t>> StepsOfProbeArgument(std::string_view argument, Machine machine) {
  const auto refuse = [&] {
    return InvalidError("the program has this argument in \"{}\", which programs in the kernel cannot read", argument);
  };
  const std::size_t at = argument.find('@');
  const std::string_view size = argument.substr(0, at == std::string_view::npos ? 0 : at);
  const std::string_view operand = at == std::string_view::npos ? argument : argument.substr(at + 1);
  const bool is_signed = size.starts_with('-');
  const std::string_view digits = is_signed ? size.substr(1) : size;
  if (!digits.empty() && digits != "1" && digits != "2" && digits != "4" && digits != "8") return refuse();
  const unsigned bytes = digits.empty() ? 8 : static_cast<unsigned>(digits[0] - '0');
  auto steps = StepsOfOperand(operand, Kept(bytes, is_signed), machine);
  if (!steps) return refuse();
  return *std::move(steps);
}

}  // namespace sluice::policy::tracing
