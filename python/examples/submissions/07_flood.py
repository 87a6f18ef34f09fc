# output limit: prints without end
while True:
    print("the answer is almost ready" * 100)
