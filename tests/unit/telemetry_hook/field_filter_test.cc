#include "telemetry/tetragon/field_filter.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>

namespace sluice::telemetry {
namespace {

using ::testing::HasSubstr;

constexpr char kExec[] =
    R"({"process_exec":{"process":{"exec_id":"e","pid":42,"binary":"/bin/cat","pod":{"namespace":"shop","name":"web",)"
    R"("pod_labels":{"app":"web"}}},"parent":{"exec_id":"p","binary":"/bin/bash"}},"node_name":"n",)"
    R"("time":"1970-01-01T00:00:07Z"})";
constexpr char kKprobe[] =
    R"({"process_kprobe":{"process":{"binary":"/bin/cat"},"function_name":"f",)"
    R"("args":[{"file_arg":{"path":"/etc/passwd","permission":"-r--"},"label":"l"},{"int_arg":4}]},"node_name":"n"})";

tetragon::GetEventsResponse EventOf(const std::string& json) {
  tetragon::GetEventsResponse event;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &event).ok()) << json;
  return event;
}

std::string EventJson(const tetragon::GetEventsResponse& event) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(event, &json, options).ok());
  return json;
}

struct Filter {
  std::vector<std::string> paths;
  tetragon::FieldFilterAction action = tetragon::INCLUDE;
  std::vector<tetragon::EventType> types = {};
  bool inverted = false;
};

std::string Trim(const std::string& json, const std::vector<Filter>& filters) {
  FieldFilters::Messages messages;
  for (const Filter& filter : filters) {
    tetragon::FieldFilter& message = *messages.Add();
    for (const std::string& path : filter.paths) message.mutable_fields()->add_paths(path);
    message.set_action(filter.action);
    for (const auto type : filter.types) message.add_event_set(type);
    if (filter.inverted) message.mutable_invert_event_set()->set_value(true);
  }
  const auto made = FieldFilters::Make(messages);
  EXPECT_TRUE(made.ok()) << made.status();
  auto event = EventOf(json);
  if (made.ok()) made->Trim(&event);
  return EventJson(event);
}

constexpr char kAround[] = R"(,"node_name":"n","time":"1970-01-01T00:00:07Z"})";

TEST(FieldFilterTest, IncludesOnlyWhatIsNamed) {
  EXPECT_EQ(Trim(kExec, {{{"process.binary"}}}),
            std::string(R"({"process_exec":{"process":{"binary":"/bin/cat"}})") + kAround);
  EXPECT_EQ(
      Trim(kExec, {{{"process.pid", "parent"}}}),
      std::string(R"({"process_exec":{"process":{"pid":42},"parent":{"exec_id":"p","binary":"/bin/bash"}})") + kAround);
  EXPECT_EQ(Trim(kExec, {{{"process.pod.pod_labels"}}}),
            std::string(R"({"process_exec":{"process":{"pod":{"pod_labels":{"app":"web"}}}})") + kAround);
  EXPECT_EQ(Trim(kExec, {{{"process.execId"}}}),
            std::string(R"({"process_exec":{"process":{"exec_id":"e"}})") + kAround)
      << "as JSON writes masks";
  EXPECT_EQ(Trim(kExec, {{{"no.such"}}}), std::string(R"({"process_exec":{})") + kAround);
  EXPECT_EQ(Trim(kKprobe, {{{"args.file_arg.path"}}}),
            R"({"process_kprobe":{"args":[{"file_arg":{"path":"/etc/passwd"}},{}]},"node_name":"n"})");
}

TEST(FieldFilterTest, ExcludesWhatIsNamed) {
  EXPECT_EQ(Trim(kExec, {{{"parent", "process.pod", "process.exec_id"}, tetragon::EXCLUDE}}),
            std::string(R"({"process_exec":{"process":{"pid":42,"binary":"/bin/cat"}})") + kAround);
  EXPECT_EQ(Trim(kExec, {{{"no.such"}, tetragon::EXCLUDE}}), kExec);
  EXPECT_EQ(Trim(kKprobe, {{{"args.label", "process"}, tetragon::EXCLUDE}}),
            R"({"process_kprobe":{"function_name":"f","args":[{"file_arg":{"path":"/etc/passwd","permission":"-r--"}},)"
            R"({"int_arg":4}]},"node_name":"n"})");
}

TEST(FieldFilterTest, OneAfterTheOther) {
  EXPECT_EQ(Trim(kExec, {{{"process"}}, {{"process.pod", "process.pid"}, tetragon::EXCLUDE}}),
            std::string(R"({"process_exec":{"process":{"exec_id":"e","binary":"/bin/cat"}})") + kAround);
}

TEST(FieldFilterTest, OfSomeEvents) {
  const Filter kprobes{.paths = {"function_name"}, .types = {tetragon::PROCESS_KPROBE}};
  EXPECT_EQ(Trim(kExec, {kprobes}), kExec);
  EXPECT_EQ(Trim(kKprobe, {kprobes}), R"({"process_kprobe":{"function_name":"f"},"node_name":"n"})");
  Filter others = kprobes;
  others.inverted = true;
  EXPECT_EQ(Trim(kExec, {others}), std::string(R"({"process_exec":{})") + kAround);
  EXPECT_EQ(Trim(kKprobe, {others}), kKprobe);
}

TEST(FieldFilterTest, AMaskWithoutPathsSelectsEverything) {
  EXPECT_EQ(Trim(kExec, {{{}}}), kExec);
  EXPECT_EQ(Trim(kExec, {{{}, tetragon::EXCLUDE}}), kExec);
}

TEST(FieldFilterTest, RefusesByName) {
  FieldFilters::Messages messages;
  messages.Add()->set_action(static_cast<tetragon::FieldFilterAction>(7));
  EXPECT_THAT(Message(FieldFilters::Make(messages).status()), HasSubstr("field_filters[0]: action: 7"));
  messages.Mutable(0)->set_action(tetragon::INCLUDE);
  messages.Mutable(0)->mutable_fields()->add_paths(std::string(513, 'a'));
  EXPECT_THAT(Message(FieldFilters::Make(messages).status()), HasSubstr("a path has 513 bytes"));
  messages.Mutable(0)->mutable_fields()->clear_paths();
  for (int i = 0; i < 257; ++i) messages.Mutable(0)->mutable_fields()->add_paths("a");
  EXPECT_THAT(Message(FieldFilters::Make(messages).status()), HasSubstr("there are 257 paths"));
  messages.Clear();
  for (int i = 0; i < 65; ++i) messages.Add();
  EXPECT_THAT(Message(FieldFilters::Make(messages).status()), HasSubstr("field_filters: there are 65"));
}

}  // namespace
}  // namespace sluice::telemetry
