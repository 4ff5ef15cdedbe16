#include "policy/tracing/tracepoint_format.h"

#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

using Kind = TracepointField::Kind;

constexpr const char* kFormat =
    "name: example\nID: 365\nformat:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
    "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
    "\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n"
    "\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n"
    "\tfield:const struct sk_buff * skbaddr;\toffset:16;\tsize:8;\tsigned:0;\n"
    "\tfield:char comm[16];\toffset:24;\tsize:16;\tsigned:0;\n"
    "\tfield:__u8 saddr[sizeof(struct sockaddr_in6)];\toffset:40;\tsize:28;\tsigned:0;\n"
    "\tfield:__rel_loc char[] other;\toffset:68;\tsize:4;\tsigned:0;\n"
    "\tfield:unsigned short port;\toffset:72;\tsize:2;\tsigned:0;\n"
    "\nprint fmt: \"field:%s\", REC->field\n";

TEST(TracepointFormat, FieldsInTheirOrder) {
  const auto fields = ParseTracepointFormat(kFormat);
  ASSERT_TRUE(fields.ok()) << fields.status();
  ASSERT_EQ(fields->size(), 11U);
  const auto expect = [&](std::size_t at, const char* name, Kind kind, std::uint32_t offset, std::uint32_t size) {
    const TracepointField& field = fields->at(at);
    EXPECT_EQ(field.name, name);
    EXPECT_EQ(field.kind, kind) << name;
    EXPECT_EQ(field.offset, offset) << name;
    EXPECT_EQ(field.size, size) << name;
  };
  expect(3, "common_pid", Kind::kNumber, 4, 4);
  expect(4, "filename", Kind::kDataLocation, 8, 4);
  expect(5, "pid", Kind::kNumber, 12, 4);
  expect(6, "skbaddr", Kind::kPointer, 16, 8);
  expect(7, "comm", Kind::kArray, 24, 16);
  expect(8, "saddr", Kind::kArray, 40, 28);
  expect(9, "other", Kind::kRelativeLocation, 68, 4);
  EXPECT_TRUE(fields->at(5).is_signed);
  EXPECT_FALSE(fields->at(10).is_signed);
  EXPECT_TRUE(fields->at(7).of_chars);
}

TEST(TracepointFormat, OneThatIsNoneIsRefused) {
  EXPECT_FALSE(ParseTracepointFormat("").ok());
  EXPECT_FALSE(ParseTracepointFormat("name: a\nformat:\n").ok());
  const auto cut = ParseTracepointFormat("\tfield:int a;\toffset:x;\tsize:4;\tsigned:1;\n");
  EXPECT_FALSE(cut.ok());
  EXPECT_NE(Message(cut.status()).find("field:int a"), std::string::npos);
}

class ExampleFormats final : public TracepointFormats {
 public:
  StatusOr<std::vector<TracepointField>> FieldsOf(const std::string& group, const std::string& name) const override {
    if (name == "none") return MakeError(absl::StatusCode::kNotFound, "no tracepoint {}/{}", group, name);
    return ParseTracepointFormat(kFormat);
  }
  StatusOr<std::vector<std::string>> Functions() const override { return InvalidError("no functions"); }
};

Compilation CompileWithFormats(const std::string& args, const std::string& event = "example") {
  static const ExampleFormats formats;
  CompileOptions options = OptionsOfTests();
  options.formats = &formats;
  return Compile(PolicyOf("{tracepoints: [{subsystem: a, event: " + event + ", args: [" + args + "]}]}"), options);
}

TEST(TracepointFormat, ArgumentsAreReadWhereTheirFieldsAre) {
  const Compilation compiled = CompileWithFormats(
      "{index: 4, type: string}, {index: 5, type: int64}, {index: 6, type: skb}, {index: 7, type: auto}, {index: 8, "
      "type: sockaddr}");
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  const CompiledHook& hook = compiled.policy->hooks.at(0);
  EXPECT_EQ(hook.point, (HookPoint{HookPoint::Kind::kTracepoint, "a", "example"}));
  const std::uint64_t load = SL_HOOK_STEP_LOAD;
  EXPECT_EQ(hook.words, (std::vector<std::uint64_t>{
                            SL_HOOK_STEP(8, 0),
                            SL_HOOK_STEP(12, 0) | load | SL_HOOK_STEP_BYTES(std::uint64_t{4}) | SL_HOOK_STEP_SIGNED,
                            SL_HOOK_STEP(16, 1), SL_HOOK_STEP(24, 0), SL_HOOK_STEP(40, 0)}));
  constexpr sl_hook_read kReads[] = {SL_HOOK_READ_DATA_LOC, SL_HOOK_READ_NUMBER, SL_HOOK_READ_SKB, SL_HOOK_READ_STRING,
                                     SL_HOOK_READ_SOCKADDR};
  for (std::size_t i = 0; i < std::size(kReads); ++i) {
    EXPECT_EQ(hook.hook.arguments[i].read, kReads[i]) << i;
    EXPECT_EQ(hook.hook.arguments[i].flags & ~SL_HOOK_ARGUMENT_SIGNED, SL_HOOK_ARGUMENT_OF_RECORD) << i;
    EXPECT_EQ(hook.hook.arguments[i].step_count, 1) << i;
  }
  EXPECT_EQ(hook.hook.arguments[3].bytes_max, 16U);
}

TEST(TracepointFormat, TheSizeOfABufferIsAnotherArgument) {
  const Compilation compiled = CompileWithFormats("{index: 5, type: int}, {index: 6, type: char_buf, sizeArgIndex: 6}");
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  const sl_hook_argument& buffer = compiled.policy->hooks.at(0).hook.arguments[1];
  EXPECT_EQ(buffer.size_index, 0);
  EXPECT_NE(buffer.flags & SL_HOOK_ARGUMENT_SIZE_READ, 0);
}

TEST(TracepointFormat, WhatAFieldIsNotIsRefused) {
  const auto refusal = [](const std::string& args, const std::string& event = "example") {
    const Compilation compiled = CompileWithFormats(args, event);
    return compiled.problems.empty() ? "no problem" : compiled.problems.front().what;
  };
  const std::string at = "spec.tracepoints[0].args[0].";
  EXPECT_EQ(refusal("{index: 11, type: int}"), at + "index: no field 11: the last one of a/example is 10");
  EXPECT_EQ(refusal("{index: 3, type: int}"), at + "index: programs in the kernel cannot read the field common_pid");
  EXPECT_EQ(refusal("{index: 9, type: string}"), at + "index: programs in the kernel cannot read the field other");
  EXPECT_EQ(refusal("{index: 5, type: string}"), at + "type: the field pid is a number, which is no string");
  EXPECT_EQ(refusal("{index: 7, type: int}"), at + "type: the field comm is bytes in the record, which is no int");
  EXPECT_EQ(refusal("{index: 7, type: file}"), at + "type: the field comm is bytes in the record, which is no file");
  EXPECT_EQ(refusal("{index: 6, type: data_loc}"), at + "type: the field skbaddr is an address, which is no data_loc");
  EXPECT_EQ(refusal("{index: 6, type: char_buf, sizeArgIndex: 6}"),
            at + "sizeArgIndex: args needs an entry with index 5 and the type of a number before this one, as the size "
                 "is read there");
  EXPECT_EQ(refusal("{index: 6, type: string, resolve: dev.name}"),
            at + "resolve: the format does not say what skbaddr points to: name its structure with btfType");
  EXPECT_EQ(refusal("{index: 4, type: int}", "none"), "spec.tracepoints[0]: no tracepoint a/none");
}

}  // namespace
}  // namespace sluice::policy::tracing
