// Processes and their events for people, one line each, without a line feed. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// "/usr/bin/psql"; a script comes before its interpreter; "[name]" if the binary is not known.
std::string ProgramText(const v1::Process& process);
// "/usr/bin/psql -h db": the program and its arguments.
std::string CommandText(const v1::Process& process);

// "EXEC   shop/web-0 4242 /usr/bin/psql -h db", "EXIT   shop/web-0 4242 /usr/bin/psql -h db: exit code 1, after 0.020
// s"
std::string ExecText(const v1::Exec& exec);
std::string ForkText(const v1::Fork& fork);
std::string ExitText(const v1::Exit& exit);

}  // namespace sluice::telemetry
