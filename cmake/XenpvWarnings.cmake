# The warnings every file of ours is built with; all of them are errors.
set(XENPV_WARNINGS
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wvla -Wcast-qual -Wwrite-strings -Wundef
    -Wpointer-arith -Wimplicit-fallthrough -Wformat=2 -Wcast-align)

if(XENPV_SANITIZE)
    add_compile_options(-fsanitize=${XENPV_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${XENPV_SANITIZE})
endif()

# xenpv_target(NAME): our warnings, our headers.
function(xenpv_target name)
    target_compile_options(${name} PRIVATE ${XENPV_WARNINGS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
    target_include_directories(${name} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()
