# seclude_add_test(NAME name COMMAND command... [OPTIONS option...])
#
# Adds a test, as add_test does, that runs in a sandbox for tests: with the host's files, and a
# private network, process tree, /tmp, /run and /dev/shm. OPTIONS are options of `seclude run`, such
# as `--wall-time 10s`. CTest counts the test as skipped where the host does not allow sandboxes.
function(seclude_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 _test "" "NAME;WORKING_DIRECTORY" "COMMAND;OPTIONS")
    if(NOT _test_NAME OR NOT _test_COMMAND OR _test_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR
            "seclude_add_test(NAME name COMMAND command... [OPTIONS option...]): ${ARGN}")
    endif()
    list(POP_FRONT _test_COMMAND _program)
    if(TARGET ${_program})
        set(_program "$<TARGET_FILE:${_program}>")
    endif()
    add_test(NAME ${_test_NAME}
        COMMAND ${Seclude_EXECUTABLE} run --test ${_test_OPTIONS} -- ${_program} ${_test_COMMAND})
    set_tests_properties(${_test_NAME} PROPERTIES SKIP_RETURN_CODE 77)
    if(_test_WORKING_DIRECTORY)
        set_tests_properties(${_test_NAME} PROPERTIES
            WORKING_DIRECTORY "${_test_WORKING_DIRECTORY}")
    endif()
endfunction()
